"""The gateway's process: settings from the environment, errors and the end as lines and exit codes."""

import pytest

from kttun.errors import EnvironmentFaultError
from kttun.gateway import __main__ as process
from kttun.rendezvous import ENVIRONMENT_NAME, GatewaySettings

SETTINGS = GatewaySettings(bytes(32), bytes(16), 7107, (), (), 60)


@pytest.fixture
def server(monkeypatch):
    """A function that lets the server do something else when it runs; it gets the settings and `say`."""

    def put(run):
        class Server:
            def __init__(self, settings, say):
                self.settings, self.say = settings, say

            def run(self):
                return run(self.settings, self.say)

        monkeypatch.setattr(process, "Server", Server)
        monkeypatch.setenv(ENVIRONMENT_NAME, SETTINGS.to_json())

    return put


def test_a_session_that_ended_says_why(server, capsys):
    def run(settings, say):
        assert settings == SETTINGS
        say("a line of the log")
        return "the client closed the session"

    server(run)
    assert process.main() == 0
    assert capsys.readouterr().out == "a line of the log\nended: the client closed the session\n"


def test_a_start_that_failed_says_why_on_stderr(server, capsys):
    def run(_settings, _say):
        raise EnvironmentFaultError("no right to make a TUN device", "CAP_NET_ADMIN is needed")

    server(run)
    assert process.main() == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "kttun-gateway: no right to make a TUN device\nhint: CAP_NET_ADMIN is needed\n"


@pytest.mark.parametrize("text", [None, "", "{}", "nonsense"])
def test_settings_that_cannot_be_read_are_wrong_usage(monkeypatch, capsys, text):
    monkeypatch.delenv(ENVIRONMENT_NAME, raising=False)
    if text is not None:
        monkeypatch.setenv(ENVIRONMENT_NAME, text)
    assert process.main() == 2
    assert capsys.readouterr().err.startswith("kttun-gateway: KTTUN_GATEWAY cannot be read: ")
