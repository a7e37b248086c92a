import os
import socket
import stat

import pytest

from kttun.errors import EnvironmentFaultError, RefusedError
from kttun.host.sockets import claim_control_socket, is_live


@pytest.fixture
def claim(tmp_path):
    made = []

    def make(name="one", folder=tmp_path / "kttun"):
        made.append(claim_control_socket(folder, name, os.getuid(), os.getgid()))
        return made[-1]

    yield make
    for each in made:
        each.remove()


def test_a_control_socket_is_for_its_user_alone(claim, tmp_path):
    control = claim()
    assert stat.S_IMODE(control.path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "kttun").stat().st_mode) == 0o755
    assert is_live(control.path)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(control.path))
    control.remove()
    assert not control.path.exists()
    control.remove()


def test_a_living_name_is_refused(claim):
    claim()
    with pytest.raises(RefusedError, match="session one is running") as caught:
        claim()
    assert "kttun down -s one" in caught.value.hints[0]


def test_a_full_queue_is_alive(claim):
    control = claim()
    control.listener.listen(0)
    with socket.socket(socket.AF_UNIX) as first:
        first.connect(str(control.path))
        assert is_live(control.path)


def test_a_dead_one_is_replaced(claim):
    control = claim()
    control.listener.close()
    assert not is_live(control.path)
    assert is_live(claim().path)


def test_the_name_of_a_successor_is_not_taken_away(claim):
    first = claim()
    first.listener.close()
    second = claim()
    first.remove()
    assert is_live(second.path)


def test_no_file_is_not_alive(tmp_path):
    assert not is_live(tmp_path / "none")


@pytest.mark.parametrize("make", ["file", "symlink", "writable"])
def test_a_directory_that_others_could_write_is_refused(tmp_path, claim, make):
    folder = tmp_path / "kttun"
    if make == "file":
        folder.write_text("")
    elif make == "symlink":
        (tmp_path / "real").mkdir()
        folder.symlink_to("real")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with pytest.raises(EnvironmentFaultError, match="only root can write"):
        claim()


def test_a_directory_that_cannot_be_made_is_named(tmp_path, claim):
    with pytest.raises(EnvironmentFaultError, match="cannot make"):
        claim(folder=tmp_path / "none" / "kttun")
