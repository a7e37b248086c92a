"""The SPDY server as a conversation: a client's frames in, its own frames out, with a pod that is a socket pair."""

import asyncio
import socket
import struct
import zlib

import pytest

from kttun.sandbox.relay import ConnectError, Relay
from kttun.sandbox.spdy_frames import (
    DICTIONARY,
    FIN,
    GOAWAY,
    PING,
    RST_STREAM,
    SYN_REPLY,
    SYN_STREAM,
    Control,
    FrameReader,
    control,
    data_head,
)
from kttun.sandbox.spdy_server import SpdyServer


class Client:
    """The far end of the byte stream: `say` gives bytes to the server, `heard` are the frames that came back."""

    def __init__(self):
        self._saying = asyncio.Queue()
        self._hearing = asyncio.Queue()
        self._frames = FrameReader()
        self._compressor = zlib.compressobj(zdict=DICTIONARY)

    async def read(self):
        return await self._saying.get()

    async def write(self, data):
        for frame in self._frames.feed(data):
            self._hearing.put_nowait(frame)

    def say(self, data):
        self._saying.put_nowait(data)

    async def hear(self):
        frame = await self._hearing.get()
        return (frame.kind, frame.body) if isinstance(frame, Control) else (frame.stream, bytes(frame.piece), frame.fin)

    def open(self, stream, kind, request="0", port="80", flags=0):
        headers = {"streamtype": kind, "port": port, "requestid": request}
        texts = [text.encode() for pair in headers.items() for text in pair]
        block = struct.pack("!I", 3) + b"".join(struct.pack("!I", len(text)) + text for text in texts)
        squeezed = self._compressor.compress(block) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        frame = bytearray(control(SYN_STREAM, struct.pack("!IIBB", stream, 0, 0, 0) + squeezed))
        frame[4] = flags
        self.say(bytes(frame))


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

        server = asyncio.ensure_future(SpdyServer(client, connect).run())
        try:
            async with asyncio.timeout(20):
                await talk(client, pods)
                client.say(b"")
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
        client.say(data_head(7, 2) + b"hi" + data_head(3, 5) + b"hello")
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
        client.say(data_head(3, 3) + b"bye" + data_head(3, 0, fin=True))
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
        client.say(data_head(7, 2) + b"on")
        assert await received(pods[81]) == b"on"

    converse(talk)


def test_pings_are_answered_and_strange_frames_left_out():
    async def talk(client, _):
        client.say(control(4, b"settings") + data_head(9, 3) + b"???" + control(RST_STREAM, b"short"))
        client.say(control(PING, b"\0\0\0\1"))
        assert await client.hear() == (PING, b"\0\0\0\1")

    converse(talk)


@pytest.mark.parametrize(
    "end",
    [control(GOAWAY, bytes(8)), b"\x80\x02\x00\x01" + bytes(4), control(SYN_STREAM, b"nonsense that is no header")],
)
def test_goodbye_and_nonsense_end_the_conversation(end):
    async def talk(client, pods):
        await opened(client)
        client.say(end)
        assert await received(pods[80]) == b""

    converse(talk)
