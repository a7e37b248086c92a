"""The WebSocket carrier, `v4.channel.k8s.io`: half as fast upwards as SPDY, but let through by every API server.

Facts (Go module `k8s.io/cri-streaming`, package portforward, and its wsstream): each binary message is one byte of
channel and then data; channel 0 is the stream, channel 1 text of an error. The first message of each channel is the
port, 16 bits little endian. The server takes every continuation frame for a message of its own, so messages are never
fragmented. Framing, masking and pongs are the work of the library `websockets`, in its sans-IO form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, Protocol

from kttun.link.carrier import LaneLostError
from kttun.link.framed import FramedCarrier
from kttun.protocol import HEADROOM

if TYPE_CHECKING:
    from kttun.link.wire import Wire

SUBPROTOCOL = "v4.channel.k8s.io"

DATA_CHANNEL = 0
ERROR_CHANNEL = 1
PORT_SIZE = 2

MAX_MESSAGE = 1024 * 1024
"""Longest message that is believed; the runtime's hold at most 32 KiB and the channel byte."""
READ_SIZE = 64 * 1024


class WebSocketCarrier(FramedCarrier):
    """One lane over a WebSocket with subprotocol `v4.channel.k8s.io`; `wire` is what was left after the 101."""

    name = "websocket"

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self._protocol = Protocol(CLIENT, state=OPEN, max_size=MAX_MESSAGE)
        self._staging = memoryview(bytearray(READ_SIZE))
        self._ready: list[memoryview] = []
        """Stream bytes that were received, in reverse order, so that the next piece is at the end."""
        self._greeted = {DATA_CHANNEL: False, ERROR_CHANNEL: False}
        self._ended: str | None = None

    def frame(self, record: bytearray) -> memoryview:
        """Make one binary message of the channel byte and the record; masking copies it (RFC 6455 section 5.3)."""
        if self._protocol.state is not OPEN:
            return memoryview(b"")  # the far end said goodbye; `receive_into` tells it
        record[HEADROOM - 1] = DATA_CHANNEL
        self._protocol.send_binary(memoryview(record)[HEADROOM - 1 :])
        return memoryview(b"".join(self._protocol.data_to_send()))

    def _take(self, buffer: memoryview) -> int:
        while not self._ready:
            if self._ended is not None:
                raise LaneLostError(self._ended)
            n, lost = self._gather()
            if n:
                self._read(bytes(self._staging[:n]))
            if lost is not None:
                self._end(lost.message)
            elif not n:
                return 0
        piece = self._ready.pop()
        n = min(len(piece), len(buffer))
        buffer[:n] = piece[:n]
        if n < len(piece):
            self._ready.append(piece[n:])
        return n

    def _gather(self) -> tuple[int, LaneLostError | None]:
        """Fill the staging buffer as far as can be: few large pieces spare the library copies."""
        filled = 0
        while filled < READ_SIZE:
            try:
                n = self._wire.receive_into(self._staging[filled:])
            except LaneLostError as lost:
                return filled, lost
            if not n:
                break
            filled += n
        return filled, None

    def _read(self, data: bytes) -> None:
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._obey(event)
        self._ready.reverse()
        self._control += b"".join(protocol.data_to_send())  # pongs, and the answer to a close frame
        if protocol.parser_exc is not None:
            self._end("the API server does not speak WebSocket on this connection")

    def _obey(self, frame: Frame) -> None:
        if frame.opcode is Opcode.CLOSE:
            close = self._protocol.close_rcvd
            self._end((close and close.reason) or "the pod closed the stream")
        elif frame.opcode is Opcode.BINARY:
            self._sort(memoryview(frame.data))
        elif frame.opcode in {Opcode.TEXT, Opcode.CONT}:
            self._end(f"unexpected {frame.opcode.name.lower()} frame from the runtime")

    def _sort(self, message: memoryview) -> None:
        if not message or message[0] not in self._greeted:
            return
        channel, data = message[0], message[1:]
        if not self._greeted[channel]:
            self._greeted[channel] = True
            if len(data) != PORT_SIZE:
                self._end("the runtime did not begin with the port, as v4.channel.k8s.io does")
        elif channel == ERROR_CHANNEL:
            self._end(bytes(data[:4096]).decode(errors="replace").strip() or "the runtime gave no reason")
        elif data and self._ended is None:
            self._ready.append(data)

    def _end(self, reason: str) -> None:
        if self._ended is None:
            self._ended = reason

    @property
    def pending(self) -> bool:
        """Whether stream bytes, or the news of its end, wait inside."""
        return bool(self._ready) or self._ended is not None or super().pending
