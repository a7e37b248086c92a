"""What the SPDY and the WebSocket carrier have in common: control frames of their own, and an end that comes last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kttun.link.carrier import LaneLostError

if TYPE_CHECKING:
    from kttun.link.wire import Wire


class FramedCarrier:
    """A `Carrier` over a `Wire`, less its framing: control frames go between data frames, bytes before errors."""

    name: str

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._control = bytearray()
        """Complete control frames of our own that wait to be sent."""
        self._inside_frame = False
        """Whether the far end has part of one of `frame`'s results, so that nothing else may come now."""
        self._lost: LaneLostError | None = None

    def _take(self, buffer: memoryview) -> int:
        """Bring some stream bytes; 0 when there are none now. Raises `LaneLostError`."""
        raise NotImplementedError

    def fileno(self) -> int:
        """Give the descriptor of the TCP socket below; -1 after `close`."""
        return self._wire.fileno()

    def receive_into(self, buffer: memoryview) -> int:
        """Receive as `Carrier.receive_into` says; raises `LaneLostError` once all bytes before it are delivered."""
        filled = 0
        while filled < len(buffer) and self._lost is None:
            try:
                n = self._take(buffer[filled:] if filled else buffer)
            except LaneLostError as lost:
                self._lost = lost
                break
            if not n:
                return filled
            filled += n
        if not filled and self._lost is not None:
            raise self._lost
        return filled

    def send(self, data: memoryview) -> int:
        """Send as `Carrier.send` says; raises `LaneLostError` when the stream is broken."""
        if self._control and not self._inside_frame:
            self._send_control()
            if self._control:
                return 0
        n = self._wire.send(data)
        if n:
            self._inside_frame = n < len(data)
        return n

    def _send_control(self) -> None:
        n = self._wire.send(memoryview(bytes(self._control)))
        del self._control[:n]

    @property
    def pending(self) -> bool:
        """Whether stream bytes, or the news of its end, wait inside."""
        return self._lost is not None or self._wire.pending

    @property
    def want_write(self) -> bool:
        """Whether control frames or ciphertext wait for the socket."""
        return bool(self._control) or self._wire.want_write

    def expect(self, n: int) -> None:
        """Let the kernel sleep until about `n` more stream bytes have come."""
        self._wire.lull(n)

    def close(self) -> None:
        """Close the socket at once."""
        self._wire.close()
