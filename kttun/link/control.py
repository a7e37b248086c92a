"""The session's control socket: one JSON request a line, one JSON reply a line, over a Unix stream socket.

Request: `{"op": "status", ...}`; what else the object holds is for the handler. Reply: `{"ok": true, "result": {...}}`
or `{"ok": false, "error": TEXT, "hints": [...], "exit_code": N}`. A connection may ask many times. Only root and the
session's owner are answered: the kernel says who connected (SO_PEERCRED, unix(7)), whatever the modes of the path.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any

from kttun import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]

LONGEST_REQUEST = 64 * 1024
"""Bytes of a request line; a longer one is answered with an error and ends the connection."""
LONGEST_REPLY = 64 * 1024 * 1024
MOST_CONNECTIONS = 32
_UCRED = struct.Struct("3i")


class ControlServer:
    """Answers on `listener`, a bound and listening Unix stream socket that it owns from now on.

    `handlers` maps each op to a function from the request to the result; it is called in a thread of the connection, so
    it must be safe there, and may block. A `KttunError` from it is passed to the client as it is. `owner_uid`: the
    user besides root who may ask.
    """

    def __init__(self, listener: socket.socket, handlers: Mapping[str, Handler], *, owner_uid: int) -> None:
        self._listener = listener
        self._handlers = dict(handlers)
        self._allowed = frozenset({0, owner_uid})
        self._slots = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="kttun-control", daemon=True)

    def start(self) -> None:
        """Begin to answer, in a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more; connections are cut. May be called twice."""
        with self._lock:
            self._closed = True
            for connection in self._open:
                _shut(connection)
        # Closing alone would leave the thread in accept(2); shutting a listener down wakes it (Linux).
        _shut(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if not self._slots.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), name="kttun-control", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
                with self._lock:
                    if self._closed:
                        return
                    self._open.add(connection)
                self._converse(connection, lines.readline)
        finally:
            with self._lock:
                self._open.discard(connection)
            self._slots.release()

    def _converse(self, connection: socket.socket, readline: Callable[[int], bytes]) -> None:
        _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        while line := readline(LONGEST_REQUEST + 1):
            # Only now: a refusal before the request was read would reach the asker as a broken pipe.
            if uid not in self._allowed:
                connection.sendall(_line(_refusal(errors.RefusedError("this session belongs to another user"))))
                return
            if not line.endswith(b"\n"):
                error = errors.UsageError(f"a request is one line of at most {LONGEST_REQUEST} bytes")
                connection.sendall(_line(_refusal(error)))
                return
            connection.sendall(_line(self._answer(line)))

    def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _refusal(errors.UsageError("the request is not JSON"))
        if not isinstance(request, dict) or not isinstance(request.get("op"), str):
            return _refusal(errors.UsageError('the request is not an object with an "op"'))
        handler = self._handlers.get(request["op"])
        if handler is None:
            return _refusal(errors.UsageError(f"unknown op {request['op']!r}", f"known: {', '.join(self._handlers)}"))
        try:
            return {"ok": True, "result": handler(request)}
        except errors.KttunError as error:
            return _refusal(error)
        except Exception as error:  # noqa: BLE001 - the session must live on; the asker learns of the bug
            return _refusal(errors.InternalError(f"{request['op']} failed: {type(error).__name__}: {error}"))


def ask(path: Path, op: str, timeout: float, **arguments: Any) -> dict[str, Any]:
    """Ask the session whose control socket is at `path`; give the result object of its reply.

    `timeout` is in seconds and bounds each wait for the socket. Raises `NoSuchSessionError` when nobody listens there,
    `TunnelError` when no proper answer comes in time, else the error that the session replied, in its own class.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(os.fspath(path))
        except OSError as error:
            raise errors.NoSuchSessionError(f"no session answers at {path}: {error.strerror or error}") from error
        try:
            connection.sendall(_line({"op": op, **arguments}))
            with connection.makefile("rb") as lines:
                line = lines.readline(LONGEST_REPLY)
        except OSError as error:
            raise errors.TunnelError(f"the session at {path} does not answer {op}: {error}") from error
    return _result(line, path, op)


def _result(line: bytes, path: Path, op: str) -> dict[str, Any]:
    try:
        reply = json.loads(line)
        if reply["ok"]:
            return dict(reply["result"])
        message, hints, code = str(reply["error"]), [str(hint) for hint in reply["hints"]], reply["exit_code"]
    except (ValueError, KeyError, TypeError) as error:
        raise errors.TunnelError(f"the session at {path} ended before it answered {op}") from error
    raise _BY_EXIT_CODE.get(code, errors.InternalError)(message, *hints)


_BY_EXIT_CODE: dict[int, type[errors.KttunError]] = {
    kind.exit_code: kind
    for kind in (
        errors.EnvironmentFaultError,
        errors.UsageError,
        errors.NoSuchSessionError,
        errors.RefusedError,
        errors.TunnelError,
        errors.InternalError,
    )
}


def _refusal(error: errors.KttunError) -> Mapping[str, Any]:
    return {"ok": False, "error": error.message, "hints": list(error.hints), "exit_code": error.exit_code}


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
