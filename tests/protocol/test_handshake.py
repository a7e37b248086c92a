"""What can go wrong before a tunnel is open, as either end sees it."""

import random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kttun.protocol import preface
from kttun.protocol.errors import (
    AuthenticationError,
    LocalProtocolError,
    RemoteProtocolError,
    UnknownSessionError,
    VersionMismatchError,
)
from kttun.protocol.events import Opened
from kttun.protocol.handshake import REPORT_LIMIT
from kttun.protocol.noise import OVERHEAD, public_bytes
from kttun.protocol.preface import LaneKind, Preface, Status
from kttun.protocol.states import State

from .conversation import SESSION, STRANGER_KEY, Conversation, client, gateway, hear, said


def refused(c: Conversation, error: type[RemoteProtocolError]) -> tuple[str, str]:
    """Let the gateway refuse the client's first words: what each end says of it."""
    with pytest.raises(error) as at_gateway:
        c.carry(c.client)
    refusal = said(c.gateway, c.now)
    with pytest.raises(error) as at_client:
        hear(c.client, refusal, c.now)
    assert (c.client.state, c.gateway.state) == (State.CONNECTING, State.CONNECTING)
    assert said(c.client, c.now) == said(c.gateway, c.now) == b""
    return str(at_client.value), str(at_gateway.value)


def test_two_versions_of_kttun_name_both_at_both_ends(monkeypatch):
    c = Conversation().attach()
    hello = said(c.client, c.now)
    monkeypatch.setattr(preface, "VERSION", 2)
    with pytest.raises(VersionMismatchError, match="client speaks protocol 1, this kttun speaks 2") as at_gateway:
        hear(c.gateway, hello, c.now)
    assert (at_gateway.value.ours, at_gateway.value.theirs) == (2, 1)
    refusal = said(c.gateway, c.now)
    monkeypatch.undo()
    with pytest.raises(VersionMismatchError, match="gateway speaks protocol 2, this kttun speaks 1") as at_client:
        hear(c.client, refusal, c.now)
    assert (at_client.value.ours, at_client.value.theirs) == (1, 2)


def test_a_newer_client_is_refused_by_its_preface_alone():
    c = Conversation().attach()
    with pytest.raises(VersionMismatchError):
        hear(c.gateway, Preface(SESSION, version=2).pack(), c.now)
    assert said(c.gateway, c.now) == Preface(SESSION, status=Status.VERSION_MISMATCH).pack()


def test_an_unknown_session_is_said_at_both_ends():
    c = Conversation(client(session_id=bytes(16))).attach()
    at_client, at_gateway = refused(c, UnknownSessionError)
    assert at_client == "gateway serves another session"
    assert at_gateway == "client asks for another session than this gateway's"


def test_a_stranger_is_told_that_another_key_is_expected():
    c = Conversation(client(static=STRANGER_KEY)).attach()
    at_client, at_gateway = refused(c, AuthenticationError)
    assert at_client == "gateway expects another key than this session's"
    assert "another key than expected" in at_gateway


def test_a_gateway_with_another_key_than_its_log_says_is_not_spoken_to():
    stranger = gateway(static=STRANGER_KEY)
    c = Conversation(the_gateway=stranger).attach()
    refused(c, AuthenticationError)


def test_a_forged_acceptance_is_not_authentic():
    c = Conversation(the_gateway=gateway(peer_static=public_bytes(STRANGER_KEY))).attach()
    said(c.client, c.now)
    forgery = Preface(SESSION, status=Status.ACCEPTED).pack() + OVERHEAD.to_bytes(2, "big")
    ephemeral = public_bytes(X25519PrivateKey.from_private_bytes(b"x" * 32))
    with pytest.raises(AuthenticationError, match="the peer holds another key"):
        hear(c.client, forgery + ephemeral + bytes(16), c.now)
    assert said(c.client, c.now) == b""


@pytest.mark.parametrize(
    "request_",
    [
        Preface(SESSION, kind=LaneKind.JOIN, lane=1),
        Preface(SESSION, lane=1),
        Preface(SESSION, kind=99),
        Preface(SESSION, status=Status.ACCEPTED),
        Preface(SESSION, reserved=b"later"),
    ],
)
def test_lanes_of_later_versions_are_refused(request_):
    c = Conversation().attach()
    with pytest.raises(RemoteProtocolError, match="which this gateway does not have"):
        hear(c.gateway, request_.pack(), c.now)
    refusal = said(c.gateway, c.now)
    assert preface.parse(refusal) == request_.answer(Status.UNSUPPORTED)
    with pytest.raises(RemoteProtocolError, match="gateway refuses the stream with status 4"):
        hear(c.client, refusal, c.now)


def test_an_echo_is_no_gateway():
    c = Conversation().attach()
    with pytest.raises(RemoteProtocolError, match="refuses the stream with status 0"):
        hear(c.client, said(c.client, c.now), c.now)


@pytest.mark.parametrize("end", [client, gateway])
def test_garbage_instead_of_a_preface_is_quoted(end):
    tunnel = end()
    tunnel.attach(0.0)
    with pytest.raises(RemoteProtocolError, match="it begins with b'HTTP/1"):
        hear(tunnel, b"HTTP/1.1 502 Bad Gateway\r\n\r\n", 0.0)
    assert said(tunnel, 0.0) == b""


def test_a_bad_record_behind_the_answer_does_not_hide_that_the_gateway_is_there():
    c = Conversation().attach()
    c.carry(c.client)
    both = said(c.gateway, c.now) + bytes(4)
    c.client.buffer()[: len(both)] = both
    got = c.client.received(len(both), c.now)
    assert (got.events, got.more) == ([Opened(b"gateway's report", resumed=False)], True)
    with pytest.raises(RemoteProtocolError, match="record of 0 bytes"):
        c.client.more(c.now)
    assert c.client.state is State.RESUMING


def test_garbage_behind_the_clients_message_does_not_open_the_gateway():
    c = Conversation().attach()
    with pytest.raises(RemoteProtocolError):
        hear(c.gateway, said(c.client, c.now) + bytes(40), c.now)
    assert c.gateway.state is State.CONNECTING
    assert said(c.gateway, c.now) == b""


@pytest.mark.parametrize("length", [0, OVERHEAD - 1, OVERHEAD + REPORT_LIMIT + 1, 65535])
def test_a_message_of_impossible_length_is_not_waited_for(length):
    c = Conversation().attach()
    with pytest.raises(RemoteProtocolError, match=f"handshake message of {length} bytes"):
        hear(c.gateway, Preface(SESSION).pack() + length.to_bytes(2, "big"), c.now)


def test_a_replayed_handshake_opens_nothing():
    c = Conversation().attach()
    overheard = said(c.client, c.now)
    c.tell(c.gateway, overheard)
    c.carry(c.gateway)
    overheard_record = said(c.client, c.now)
    later = gateway(random.Random(3).randbytes)
    later.attach(c.now)
    assert hear(later, overheard, c.now) == ([], [])
    assert later.state is State.CONNECTING
    with pytest.raises(RemoteProtocolError, match="record 0 is not authentic"):
        hear(later, overheard_record, c.now)
    assert later.state is State.CONNECTING


def test_a_replay_on_a_new_stream_meets_a_new_key():
    c = Conversation().attach()
    overheard = said(c.client, c.now)
    c.tell(c.gateway, overheard)
    answer = said(c.gateway, c.now)
    c.gateway.attach(c.now)
    c.tell(c.gateway, overheard)
    assert said(c.gateway, c.now) != answer


def test_the_longest_report_fits():
    report = b"r" * REPORT_LIMIT
    c = Conversation(client(report=report), gateway(report=report)).attach()
    c.settle()
    assert c.client_heard[0] == c.gateway_heard[0] == Opened(report, resumed=False)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"report": bytes(REPORT_LIMIT + 1)}, "report of 32769 bytes"),
        ({"session_id": bytes(15)}, "session id of 15 bytes"),
    ],
)
def test_wrong_sizes_are_our_callers_fault(wrong, complaint):
    with pytest.raises(LocalProtocolError, match=complaint):
        client(**wrong)


def test_an_unusable_peer_key_is_noticed_when_attaching_and_changes_nothing():
    tunnel = client(peer_static=bytes(32))
    with pytest.raises(LocalProtocolError, match="static key"):
        tunnel.attach(0.0)
    assert tunnel.state is State.CONNECTING
    assert tunnel.data_to_send(0.0) is None


def test_reports_are_encrypted():
    c = Conversation().attach()
    hello = said(c.client, c.now)
    c.tell(c.gateway, hello)
    assert b"report" not in hello + said(c.gateway, c.now)
