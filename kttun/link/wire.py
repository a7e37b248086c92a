"""The connection below a carrier: a TCP socket in the clear, or TLS over another wire.

Theory. TLS runs over memory BIOs (`ssl.MemoryBIO`), not over `ssl.SSLSocket`, for three reasons: the kernel is read in
pieces of 256 KiB instead of two calls for each 16 KiB record; TLS inside TLS (an HTTPS proxy) is the same code; and a
frame is taken whole, so that nobody must offer the same bytes again. A wire blocks, up to its deadline, while a
connection is being made, and never after `unblock`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from typing import Protocol

from kttun.link.carrier import LaneLostError

TLS_READ = 256 * 1024
"""Bytes asked of the kernel at once."""

TLS_RECORD = 16 * 1024 + 256 + 5
"""Longest TLS record, header included (RFC 8446 section 5.2); so much of one may hide, half read, inside OpenSSL."""


class Wire(Protocol):
    """A byte stream to the far end: what is received and sent here is what the far end sent and receives."""

    def fileno(self) -> int:
        """Give the descriptor of the TCP socket below."""
        ...

    def receive_into(self, buffer: memoryview) -> int:
        """Receive up to `len(buffer)` bytes; 0 when nothing is there now.

        Raises `LaneLostError` at the end of the stream, `TimeoutError` at the deadline (only before `unblock`).
        """
        ...

    def send(self, data: memoryview) -> int:
        """Take bytes of `data` to send; 0 when it would block. Empty `data` only sends on what was taken before.

        Raises `LaneLostError` when the stream is broken, `TimeoutError` at the deadline (only before `unblock`).
        """
        ...

    @property
    def pending(self) -> bool:
        """Whether bytes wait inside that the descriptor does not show."""
        ...

    @property
    def want_write(self) -> bool:
        """Whether bytes that were taken still wait for the kernel."""
        ...

    def lull(self, n: int) -> None:
        """Let the kernel sleep until about `n` more bytes have come, never longer; 1 takes it back."""
        ...

    def unblock(self) -> None:
        """Never block from now on."""
        ...

    def close(self) -> None:
        """Close the socket; may be called twice, never raises."""
        ...


class SocketWire:
    """A connected stream socket as it is; blocks until the monotonic time `deadline` at most, until `unblock`."""

    pending = False
    want_write = False

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline: float | None = deadline
        self._low_water = 1

    def fileno(self) -> int:
        """Give the socket's descriptor; -1 after `close`."""
        return self._sock.fileno()

    def _arm(self) -> None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)

    def receive_into(self, buffer: memoryview) -> int:
        """Receive as `Wire.receive_into` says."""
        self._arm()
        try:
            n = self._sock.recv_into(buffer)
        except BlockingIOError:
            return 0
        except TimeoutError:
            if self._deadline is not None:
                raise
            raise LaneLostError("connection to the API server timed out") from None
        except OSError as error:
            raise LaneLostError(f"connection to the API server broke: {_reason(error)}") from error
        if not n:
            raise LaneLostError("connection closed by the API server")
        return n

    def send(self, data: memoryview) -> int:
        """Send as `Wire.send` says."""
        if not data:
            return 0
        self._arm()
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except TimeoutError:
            if self._deadline is not None:
                raise
            raise LaneLostError("connection to the API server timed out") from None
        except OSError as error:
            raise LaneLostError(f"connection to the API server broke: {_reason(error)}") from error

    def lull(self, n: int) -> None:
        """Set SO_RCVLOWAT, which poll honours for TCP and an end of stream overrides (socket(7))."""
        n = max(1, n)
        if n != self._low_water:
            self._low_water = n
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, n)

    def unblock(self) -> None:
        """Never block from now on."""
        self._deadline = None
        self._sock.settimeout(0)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


class TlsWire:
    """TLS over another wire. The constructor does the handshake, blocking as `under` blocks.

    Raises `ssl.SSLError` (a failed verification is `ssl.SSLCertVerificationError`), `LaneLostError`, `TimeoutError`.
    """

    def __init__(self, under: Wire, context: ssl.SSLContext, server_hostname: str) -> None:
        self._under = under
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._staging = memoryview(bytearray(TLS_READ))
        self._ciphertext = memoryview(b"")
        self._shake_hands()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._refill()
            except ssl.SSLError:
                with contextlib.suppress(LaneLostError, TimeoutError):
                    self._flush()  # the alert tells the server's log why
                raise
            else:
                self._flush()
                return

    def fileno(self) -> int:
        """Give the descriptor of the TCP socket below."""
        return self._under.fileno()

    def receive_into(self, buffer: memoryview) -> int:
        """Receive what one TLS record brings, as `Wire.receive_into` says."""
        while True:
            try:
                n: int = self._tls.read(len(buffer), buffer)  # type: ignore[assignment]  # an int, with a buffer
            except ssl.SSLWantReadError:
                if not self._refill():
                    return 0
            except ssl.SSLError as error:
                raise LaneLostError(f"TLS with the API server failed: {error.reason}") from error
            else:
                if not n:  # close_notify: with a buffer, `read` says so by 0 and not by SSLZeroReturnError
                    raise LaneLostError("connection closed by the API server")
                return n

    def _refill(self) -> int:
        n = self._under.receive_into(self._staging)
        if n:
            self._incoming.write(self._staging[:n])
        return n

    def send(self, data: memoryview) -> int:
        """Take all of `data` or nothing; ciphertext the kernel has no room for waits inside (`want_write`)."""
        if not self._flush() or not data:
            return 0
        try:
            n = self._tls.write(data)
        except ssl.SSLError as error:
            raise LaneLostError(f"TLS with the API server failed: {error.reason}") from error
        self._flush()
        return n

    def _flush(self) -> bool:
        """Send ciphertext; whether all of it went."""
        while self._ciphertext or self._outgoing.pending:
            if not self._ciphertext:
                self._ciphertext = memoryview(self._outgoing.read())
            n = self._under.send(self._ciphertext)
            if not n:
                return False
            self._ciphertext = self._ciphertext[n:]
        return not self._under.want_write

    @property
    def pending(self) -> bool:
        """Whether decrypted or encrypted bytes wait inside."""
        return bool(self._incoming.pending or self._tls.pending() or self._under.pending)

    @property
    def want_write(self) -> bool:
        """Whether ciphertext waits for the kernel."""
        return bool(self._ciphertext or self._outgoing.pending or self._under.want_write)

    def lull(self, n: int) -> None:
        """Sleep for `n` bytes less what may hide in OpenSSL: encryption only adds, but half a record may be inside."""
        self._under.lull(n - TLS_RECORD)

    def unblock(self) -> None:
        """Never block from now on."""
        self._under.unblock()

    def close(self) -> None:
        """Close the socket without a farewell: TLS's close_notify could block."""
        self._under.close()


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
