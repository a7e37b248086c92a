import json

from kttun import __version__
from kttun.commands import version
from kttun.protocol.preface import VERSION


def test_people_read_one_line(run):
    assert run(version, "version") == 0
    assert run.out() == f"kttun {__version__} (tunnel protocol {VERSION})\n"


def test_scripts_read_one_object(run):
    assert run(version, "version --json") == 0
    assert json.loads(run.out()) == {"schema": 1, "version": __version__, "protocol": VERSION}
