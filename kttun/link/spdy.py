"""The raw SPDY/3.1 carrier: port-forward as the container runtime speaks it, copied byte for byte by all in between.

Facts (SPDY protocol draft 3.1; Go module `k8s.io/cri-streaming`, package portforward; moby/spdystream):

- After the 101 the client opens two streams: an error stream, half-closed at once, and a data stream. Their headers
  `streamtype`, `port` and `requestid` stand zlib-compressed in SYN_STREAM frames. SPDY's preset dictionary is not used:
  a zlib stream says in its header whether it refers to one (RFC 1950, FDICT), and Go's reader leaves the dictionary out
  if not. We never read compressed headers, so the constant is not needed in that direction either.
- Every frame has 8 bytes of header: DATA is a stream id, then flags and a 24-bit length; a control frame has its top
  bit set, version and type, then the same. Flag 1 is FIN.
- Neither end has a flow-control window; back-pressure is TCP's.
- The error stream carries text when the forward failed, for instance because nothing listens on the port. containerd
  finishes the data stream first, and the error stream, text or not, right after it.

Order of this file: frames out, frames in, the carrier.
"""

from __future__ import annotations

import struct
import zlib
from enum import Enum, auto
from typing import TYPE_CHECKING

from kttun.link.carrier import LaneLostError
from kttun.link.framed import FramedCarrier
from kttun.protocol import HEADROOM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kttun.link.wire import Wire

ERROR_STREAM = 1
DATA_STREAM = 3

CONTROL_VERSION = 0x8003
"""Control bit and version 3; SPDY/3.1 kept the number."""

SYN_STREAM, RST_STREAM, PING, GOAWAY = 1, 3, 6, 7
"""Control frames that mean something here; SYN_REPLY, SETTINGS, HEADERS and WINDOW_UPDATE are read and left out."""
FIN = 1

_HEAD = struct.Struct("!II")
HEAD_SIZE = _HEAD.size

MAX_CONTROL = 64 * 1024
"""Longest control frame that is believed; the far end's are a few dozen bytes."""
MAX_TEXT = 4 * 1024
"""Bytes of an error message that are kept; the rest is read and left out."""


def opening(port: int) -> bytes:
    """Give the two SYN_STREAM frames that open a forward to `port` of the pod."""
    compressor = zlib.compressobj()  # one zlib stream per connection and direction
    common = {"port": str(port), "requestid": "0"}
    return b"".join(
        _syn_stream(stream, flags, {"streamtype": kind, **common}, compressor)
        for stream, flags, kind in ((ERROR_STREAM, FIN, "error"), (DATA_STREAM, 0, "data"))
    )


def _syn_stream(stream: int, flags: int, headers: Mapping[str, str], compressor: zlib._Compress) -> bytes:
    texts = [text.encode() for pair in headers.items() for text in pair]
    block = struct.pack("!I", len(headers)) + b"".join(struct.pack("!I", len(text)) + text for text in texts)
    squeezed = compressor.compress(block) + compressor.flush(zlib.Z_SYNC_FLUSH)
    body = struct.pack("!IIBB", stream, 0, 0, 0) + squeezed  # no parent stream, highest priority, no credential slot
    return _control(SYN_STREAM, flags, body)


def _control(kind: int, flags: int, body: bytes) -> bytes:
    return _HEAD.pack(CONTROL_VERSION << 16 | kind, flags << 24 | len(body)) + body


class _Body(Enum):
    """Where the body of the frame that is being read goes."""

    STREAM = auto()
    TEXT = auto()
    CONTROL = auto()
    SKIPPED = auto()


class FrameReader:
    """SPDY frames in, without I/O: says where the next bytes belong, and is told how many came.

    While `stream_left` is positive, that many bytes of the tunnel's stream come next and belong to the caller: report
    them by `delivered`. Else read into `wanted()` and report by `advance`, which raises `LaneLostError` for bytes that
    are no SPDY. `ended` is the reason once the far end has finished; no more bytes of the stream follow.
    """

    def __init__(self) -> None:
        self.stream_left = 0
        self.ended: str | None = None
        self.replies = bytearray()
        """Control frames to send back; the caller takes them out."""
        self._head = bytearray(HEAD_SIZE)
        self._head_have = 0
        self._scratch = memoryview(bytearray(MAX_TEXT))
        self._body = _Body.SKIPPED
        self._left = 0
        self._fin = False
        self._control_kind = 0
        self._collected = bytearray()
        self._text = bytearray()
        self._finished: set[int] = set()

    def wanted(self) -> memoryview:
        """Give the place for the next bytes that are not the tunnel's stream; never empty."""
        if self._left:
            return self._scratch[: self._left]
        return memoryview(self._head)[self._head_have :]

    def advance(self, n: int) -> None:
        """Say that `n` bytes were written to the front of `wanted()`; raises `LaneLostError` for nonsense."""
        if self._left:
            self._keep(bytes(self._scratch[:n]))
            self._left -= n
            if not self._left:
                self._finish()
            return
        self._head_have += n
        if self._head_have == HEAD_SIZE:
            self._head_have = 0
            self._begin(*_HEAD.unpack(self._head))

    def delivered(self, n: int) -> None:
        """Say that the caller took `n` bytes of the stream, at most `stream_left`."""
        self.stream_left -= n
        if not self.stream_left:
            self._finish()

    def _begin(self, first: int, second: int) -> None:
        length, fin = second & 0xFFFFFF, bool(second >> 24 & FIN)
        if first >> 31:
            self._begin_control(first, length)
        else:
            self._body = {DATA_STREAM: _Body.STREAM, ERROR_STREAM: _Body.TEXT}.get(first, _Body.SKIPPED)
        self._fin = fin and self._body in {_Body.STREAM, _Body.TEXT}
        if self._body is _Body.STREAM:
            self.stream_left = length
        else:
            self._left = length
        if not length:
            self._finish()

    def _begin_control(self, first: int, length: int) -> None:
        if first >> 16 != CONTROL_VERSION or length > MAX_CONTROL:
            raise LaneLostError("the API server does not speak SPDY/3.1 on this connection")
        self._control_kind = first & 0xFFFF
        self._body = _Body.CONTROL if self._control_kind in {RST_STREAM, PING} else _Body.SKIPPED
        if self._control_kind == GOAWAY:
            self._end("the runtime ended the connection")

    def _keep(self, piece: bytes) -> None:
        if self._body is _Body.CONTROL:
            self._collected += piece[: MAX_TEXT - len(self._collected)]
        elif self._body is _Body.TEXT:
            self._text += piece[: MAX_TEXT - len(self._text)]

    def _finish(self) -> None:
        if self._body is _Body.CONTROL:
            self._obey(bytes(self._collected))
            self._collected.clear()
        elif self._fin:
            self._half_closed(DATA_STREAM if self._body is _Body.STREAM else ERROR_STREAM)

    def _obey(self, body: bytes) -> None:
        if self._control_kind == PING:
            # Ids of the far end's own pings are even; an odd one answers a ping of ours, and we send none.
            if len(body) == 4 and not body[3] & 1:
                self.replies += _control(PING, 0, body)
        elif len(body) == 8:
            self._half_closed(struct.unpack("!II", body)[0])

    def _half_closed(self, stream: int) -> None:
        """Take the end only when the error stream can no longer add its reason to it."""
        self._finished.add(stream)
        if ERROR_STREAM in self._finished and (self._text or DATA_STREAM in self._finished):
            self._end("the pod closed the stream")

    def _end(self, reason: str) -> None:
        if self.ended is None:
            self.ended = self._text.decode(errors="replace").strip() or reason

    def lost(self, lost: LaneLostError) -> LaneLostError:
        """Give the reason of a broken connection: the far end's own words, if it came to say any."""
        if self._text or DATA_STREAM in self._finished:
            self._end("the pod closed the stream")
        return LaneLostError(self.ended) if self.ended is not None else lost


class SpdyCarrier(FramedCarrier):
    """One lane over raw SPDY/3.1; `wire` has seen the 101 and the frames of `opening`."""

    name = "spdy"

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self._frames = FrameReader()

    def frame(self, record: bytearray) -> memoryview:
        """Write the DATA header into the free bytes before the record; at most 16 MiB - 1 of it (24-bit length)."""
        start = HEADROOM - HEAD_SIZE
        _HEAD.pack_into(record, start, DATA_STREAM, len(record) - HEADROOM)
        return memoryview(record)[start:]

    def _take(self, buffer: memoryview) -> int:
        try:
            return self._take_frames(buffer, self._frames, self._wire)
        except LaneLostError as lost:
            raise self._frames.lost(lost) from lost

    def _take_frames(self, buffer: memoryview, frames: FrameReader, wire: Wire) -> int:
        while not frames.stream_left:
            if frames.ended is not None:
                raise LaneLostError(frames.ended)
            n = wire.receive_into(frames.wanted())
            if not n:
                return 0
            frames.advance(n)
            if frames.replies:
                self._control += frames.replies
                frames.replies.clear()
        n = wire.receive_into(buffer[: frames.stream_left])
        if n:
            frames.delivered(n)
        return n

    @property
    def pending(self) -> bool:
        """Whether stream bytes, or the news of its end, wait inside."""
        return self._frames.ended is not None or super().pending
