"""What the pump asks of one lane's byte stream: the `Carrier` contract, and the plainest carrier, a connected socket.

A carrier moves sealed records as a stream of bytes and knows nothing of what is in them: the far end may cut the stream
elsewhere, so a record's borders survive only in the records. All methods are called from the pump's thread, none
blocks, and none is called after `close`. Dialling and the handshake with whatever lies between happen before, in the
function that makes the carrier; it hands over a carrier whose socket is already non-blocking.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Protocol

from kttun.errors import TunnelError
from kttun.protocol import HEADROOM


class LaneLostError(TunnelError):
    """The lane's byte stream has ended or failed; the text is the reason, as a person should read it.

    Raised by carriers only, for the end of the stream too. Nothing more can be sent or received: close the carrier,
    keep the queues, dial again.
    """


class Carrier(Protocol):
    """One lane's byte stream, non-blocking."""

    name: str
    """The kind, for people: "spdy", "websocket" or "plain"."""

    def fileno(self) -> int:
        """Give the descriptor that epoll watches; it stays the same until `close`."""
        ...

    def frame(self, record: bytearray) -> memoryview:
        """Put this carrier's own framing round a sealed record and give the bytes for `send`.

        `record` is `HEADROOM` free bytes, then the sealed record to the end; it belongs to the carrier from now on.
        Framing is written into the free bytes in place where it fits, so that nothing is copied. The result must be
        given to `send` once, completely and before another record's; a control frame of the carrier's own may come
        between two results, never inside one.
        """
        ...

    def send(self, data: memoryview) -> int:
        """Send what `frame` gave, or the unsent rest of it, as far as the kernel takes it now.

        Gives how many bytes of `data` were taken, 0 when it would block. After less than all of it, wait for EPOLLOUT
        and call again with `data[n:]` (the same bytes at the same place: TLS insists on that). A carrier with control
        bytes of its own to send sends them first where the stream stands between two results of `frame`; called with
        empty `data` it sends only those.

        Raises `LaneLostError` when the stream is broken.
        """
        ...

    def receive_into(self, buffer: memoryview) -> int:
        """Write the next bytes of the stream, without any framing, to the front of `buffer`.

        `buffer` is writable, one-dimensional bytes and never empty. Gives how many bytes were written, 0 when nothing
        is there now. It fills as much of `buffer` as can be had without blocking (fewer, larger calls are what decides
        the speed), but may stop early. Control frames are answered, not delivered.

        Raises `LaneLostError` at the end of the stream or when it is broken, also when the far end reported an error
        in the carrier's own way (SPDY error stream, WebSocket close). Bytes that came before are delivered first.
        """
        ...

    @property
    def pending(self) -> bool:
        """Whether stream bytes already wait inside (TLS, framing) that epoll on `fileno()` cannot see.

        While true, call `receive_into` again without waiting.
        """
        ...

    @property
    def want_write(self) -> bool:
        """Whether control bytes of the carrier's own (a pong, a window update, TLS) wait for the socket.

        While true, wait for EPOLLOUT and call `send`, with empty data when there is no other.
        """
        ...

    def expect(self, n: int) -> None:
        """Hint that nothing useful can be done before `n` more stream bytes have come; 1 takes the hint back.

        A carrier may let the kernel sleep until then (SO_RCVLOWAT, socket(7)); it must never wait for more than what
        is certainly under way, so `n` is a lower bound, and its own framing may only add to it. May do nothing.
        """
        ...

    def close(self) -> None:
        """Close the descriptor at once, sending nothing more. May be called twice; never raises."""
        ...


class PlainCarrier:
    """The stream is a connected socket as it is: the gateway's end behind the port-forward, and tests.

    The gateway's runtime dials 127.0.0.1 inside the pod and copies bytes; there is no framing left at that end.
    `sock` is any connected stream socket; it is made non-blocking and owned from now on.
    """

    name = "plain"
    pending = False
    want_write = False

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._low_water = 1

    def fileno(self) -> int:
        """Give the socket's descriptor; -1 after `close`."""
        return self._sock.fileno()

    def frame(self, record: bytearray) -> memoryview:
        """Leave out the free bytes in front: there is no framing."""
        return memoryview(record)[HEADROOM:]

    def send(self, data: memoryview) -> int:
        """Send as `Carrier.send` says; raises `LaneLostError` when the connection is broken."""
        if not data:
            return 0
        try:
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise LaneLostError(f"connection broken while sending: {os.strerror(error.errno or 0)}") from error

    def receive_into(self, buffer: memoryview) -> int:
        """Receive as `Carrier.receive_into` says; raises `LaneLostError` when the far end closed or broke it."""
        try:
            n = self._sock.recv_into(buffer)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise LaneLostError(f"connection broken while receiving: {os.strerror(error.errno or 0)}") from error
        if not n:
            raise LaneLostError("connection closed by the far end")
        return n

    def expect(self, n: int) -> None:
        """Let the kernel wake us only when `n` bytes have come: SO_RCVLOWAT, which poll honours for TCP (socket(7))."""
        if n != self._low_water:
            self._low_water = n
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, n)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()
