import os
import socket
from dataclasses import replace

import pytest

from kttun.errors import EnvironmentFaultError, InternalError, RefusedError
from kttun.host.channel import Channel
from kttun.host.client import DESCRIPTOR_VARIABLE, HelperClient
from kttun.host.inforce import InForce
from kttun.host.tun import Offload
from kttun.routing.hostconfig import HostConfig

CONFIG = HostConfig("one", 1400)
IN_FORCE = InForce("kttun0", 5, 1400, Offload.TCP, (), (), (), 107_000_005, None)


@pytest.fixture
def helper():
    """The helper's end; what it has to say is written before the client asks."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    channel.client = HelperClient(theirs)
    yield channel
    channel.client.close()
    channel.close()


def test_an_answer_brings_descriptors_by_their_names(helper):
    with socket.socket() as some:
        names = ["control", "tun", "udp 10.99.0.1", "tcp fd99::1"]
        reply = {"ok": True, "echo": ["ip a"], "in_force": IN_FORCE.to_json(), "descriptors": names}
        helper.send(reply, [some.fileno()] * 4)
    done = helper.client.apply(CONFIG)
    assert helper.receive().parsed() == {"do": "apply", "config": CONFIG.to_json()}
    assert (done.in_force, done.echo) == (IN_FORCE, ("ip a",))
    assert [(str(entry.address), entry.tcp) for entry in done.dns] == [("10.99.0.1", False), ("fd99::1", True)]
    os.close(done.tun_fd)
    for each in (done.control, *(entry.socket for entry in done.dns)):
        each.close()


def test_an_answer_without_news_brings_none(helper):
    helper.send({"ok": True, "echo": [], "in_force": IN_FORCE.to_json(), "descriptors": []})
    done = helper.client.apply(CONFIG)
    assert (done.tun_fd, done.dns, done.control, done.echo) == (None, (), None, ())


@pytest.mark.parametrize(
    ("code", "kind"), [(1, EnvironmentFaultError), (4, RefusedError), (2, InternalError), (70, InternalError)]
)
def test_a_refusal_speaks_with_the_helpers_words(helper, code, kind):
    helper.send({"ok": False, "error": "no", "hints": ["do this"], "exit_code": code, "echo": []})
    with pytest.raises(kind) as caught:
        helper.client.apply(CONFIG)
    assert (caught.value.message, caught.value.hints) == ("no", ("do this",))


def test_a_dead_helper_is_seen_and_said(helper):
    assert not helper.client.is_gone()
    helper.close()
    assert helper.client.is_gone()
    with pytest.raises(EnvironmentFaultError, match="helper is gone"):
        helper.client.apply(CONFIG)


def test_a_helper_that_dies_instead_of_an_answer_is_said(helper):
    helper._socket.shutdown(socket.SHUT_WR)
    with pytest.raises(EnvironmentFaultError, match="helper is gone"):
        helper.client.apply(CONFIG)


def test_the_end_is_taken_over_from_the_environment_and_not_inherited(monkeypatch):
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    monkeypatch.setenv(DESCRIPTOR_VARIABLE, str(theirs.detach()))
    with ours, HelperClient.from_environment() as client:
        assert not os.get_inheritable(client.fileno())
        assert DESCRIPTOR_VARIABLE not in os.environ


@pytest.mark.parametrize("value", [None, "x", "-1", "9999"])
def test_a_worker_without_a_helper_is_our_bug(monkeypatch, value):
    monkeypatch.delenv(DESCRIPTOR_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(DESCRIPTOR_VARIABLE, value)
    with pytest.raises(InternalError):
        HelperClient.from_environment()


def test_what_is_in_force_survives_its_json():
    assert InForce.from_json(IN_FORCE.to_json()) == IN_FORCE
    assert InForce.from_json(replace(IN_FORCE, resolver="resolved").to_json()).resolver == "resolved"
