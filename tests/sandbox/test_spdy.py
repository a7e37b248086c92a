"""The SPDY server as a conversation: a client's frames in, its own frames out, with a pod that is a socket pair."""

import asyncio
import socket
import struct
import zlib

import pytest

from kttun.link.spdy import opening
from kttun.sandbox.relay import ConnectError, Relay
from kttun.sandbox.spdy import (
    DICTIONARY,
    FIN,
    GOAWAY,
    LARGEST,
    PING,
    RST_STREAM,
    SYN_REPLY,
    SYN_STREAM,
    SpdyServer,
    control,
    data,
    read_frame,
)


class Client:
    """The far end of the connection: `say` gives bytes to the server, `hear` what came back, frame by frame."""

    def __init__(self):
        self.reader, self._heard = asyncio.StreamReader(), asyncio.StreamReader()
        self._compressor = zlib.compressobj(zdict=DICTIONARY)

    def write(self, frames):
        self._heard.feed_data(frames)

    async def drain(self):
        """Whatever the server writes is taken at once."""

    def say(self, frames):
        self.reader.feed_data(frames)

    async def hear(self):
        frame = await read_frame(self._heard)
        return (frame.number, frame.body) if frame.is_control else (frame.number, frame.body, bool(frame.flags & FIN))

    def open(self, stream, kind, request="0", port="80", flags=0):
        headers = {"streamtype": kind, "port": port, "requestid": request}
        texts = [text.encode() for pair in headers.items() for text in pair]
        block = struct.pack("!I", 3) + b"".join(struct.pack("!I", len(text)) + text for text in texts)
        squeezed = self._compressor.compress(block) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        self.say(control(SYN_STREAM, struct.pack("!IIBB", stream, 0, 0, 0) + squeezed, flags))


def converse(talk):
    """Run `talk(client, pods)` against a server; `pods` gives the pod's end of each connection, by port."""

    async def run():
        client, pods = Client(), {}

        async def awake():
            return

        async def connect(port, send):
            if port == 1:
                raise ConnectError("nobody listens")
            ours, pods[port] = socket.socketpair()
            pods[port].setblocking(False)
            return Relay(*await asyncio.open_connection(sock=ours), send, awake)

        server = asyncio.ensure_future(SpdyServer(client.reader, client, connect).run())
        try:
            async with asyncio.timeout(20):
                await talk(client, pods)
                client.reader.feed_eof()
                await server
        finally:
            server.cancel()
            for pod in pods.values():
                pod.close()

    asyncio.run(run())


async def opened(client, *, first=1, request="0", port="80"):
    client.open(first, "error", request, port, flags=FIN)
    client.open(first + 2, "data", request, port)
    for stream in (first, first + 2):
        kind, body = await client.hear()
        assert (kind, struct.unpack_from("!I", body)) == (SYN_REPLY, (stream,))


async def received(pod):
    return await asyncio.get_running_loop().sock_recv(pod, 100)


def test_several_connections_share_one_conversation():
    async def talk(client, pods):
        await opened(client, port="80")
        await opened(client, first=5, request="1", port="81")
        client.say(data(7, b"hi") + data(3, b"hello"))
        assert await received(pods[81]) == b"hi"
        assert await received(pods[80]) == b"hello"
        pods[81].send(b"answer")
        assert await client.hear() == (7, b"answer", False)

    converse(talk)


def test_a_port_where_nobody_listens_is_told_on_the_error_stream():
    async def talk(client, _):
        await opened(client, port="1")
        assert await client.hear() == (3, b"", True)
        assert await client.hear() == (1, b"nobody listens", False)
        assert await client.hear() == (1, b"", True)

    converse(talk)


def test_the_clients_end_reaches_the_pod_and_ends_both_streams():
    async def talk(client, pods):
        await opened(client)
        client.say(data(3, b"bye") + data(3, fin=True))
        assert await received(pods[80]) == b"bye"
        assert await received(pods[80]) == b""
        assert await client.hear() == (3, b"", True)
        assert await client.hear() == (1, b"", True)

    converse(talk)


def test_a_reset_stream_closes_its_connection_alone():
    async def talk(client, pods):
        await opened(client, port="80")
        await opened(client, first=5, request="1", port="81")
        client.say(control(RST_STREAM, struct.pack("!II", 3, 5)))
        assert await received(pods[80]) == b""
        client.say(data(7, b"on"))
        assert await received(pods[81]) == b"on"

    converse(talk)


def test_pings_are_answered_and_strange_frames_left_out():
    async def talk(client, _):
        client.say(control(4, b"settings") + data(9, b"???") + control(RST_STREAM, b"short"))
        client.say(control(PING, b"\0\0\0\1"))
        assert await client.hear() == (PING, b"\0\0\0\1")

    converse(talk)


@pytest.mark.parametrize(
    "end",
    [
        control(GOAWAY, bytes(8)),
        b"\x80\x02\x00\x01" + bytes(4),
        struct.pack("!II", 3, LARGEST + 1),
        control(SYN_STREAM, b"nonsense that is no header"),
    ],
)
def test_goodbye_and_nonsense_end_the_conversation(end):
    async def talk(client, pods):
        await opened(client)
        client.say(end)
        assert await received(pods[80]) == b""

    converse(talk)


def test_the_dictionary_is_the_one_that_zlib_streams_name():
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2


def test_kttuns_own_opening_without_the_dictionary_is_understood():
    async def talk(client, pods):
        client.say(opening(7007))
        assert [(await client.hear())[0] for _ in range(2)] == [SYN_REPLY] * 2
        client.say(data(3, b"hello"))
        assert await received(pods[7007]) == b"hello"

    converse(talk)


def test_replies_share_one_compressed_stream():
    async def talk(client, _):
        inflate = zlib.decompressobj()
        for stream in (1, 3):
            client.open(stream, "error", request=str(stream))
            kind, body = await client.hear()
            assert (kind, inflate.decompress(body[4:])) == (SYN_REPLY, bytes(4))

    converse(talk)


@pytest.mark.parametrize("block", [b"nonsense", zlib.compress(struct.pack("!II", 2**31, 9))])
def test_headers_that_are_none_end_the_conversation(block):
    async def talk(client, pods):
        await opened(client)
        client.say(control(SYN_STREAM, bytes(10) + block))
        assert await received(pods[80]) == b""

    converse(talk)
