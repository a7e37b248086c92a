"""A wire in memory: gives what was recorded, cut as told, and keeps what was sent, in pieces as told."""

from kttun.link.carrier import LaneLostError


class Tape:
    pending = False
    want_write = False

    def __init__(self, *pieces, room=None, end="connection closed by the API server"):
        self.pieces = [piece for piece in pieces if piece]
        self.end = end
        self.sent = bytearray()
        self.room = room
        self.lulls = []
        self.closed = 0

    def fileno(self):
        return 7

    def receive_into(self, buffer):
        if not self.pieces:
            if self.end is None:
                return 0
            raise LaneLostError(self.end)
        piece = self.pieces.pop(0)
        if piece == b"wait":
            return 0
        n = min(len(piece), len(buffer))
        buffer[:n] = piece[:n]
        if n < len(piece):
            self.pieces.insert(0, piece[n:])
        return n

    def send(self, data):
        n = len(data) if self.room is None else min(self.room, len(data))
        if self.room is not None:
            self.room -= n
        self.sent += data[:n]
        return n

    def lull(self, n):
        self.lulls.append(n)

    def unblock(self):
        pass

    def close(self):
        self.closed += 1


def cut(data, sizes):
    """Cut `data` into pieces of these sizes, repeated; a size of 0 is a moment when nothing is there."""
    at, turn, pieces = 0, 0, []
    while at < len(data):
        size = sizes[turn % len(sizes)] if any(sizes) else len(data)
        pieces.append(data[at : at + size] if size else b"wait")
        at += size
        turn += 1
    return pieces


def drain(carrier, size=1000):
    """Read to the end; give what came and the reason."""
    got, buffer = bytearray(), memoryview(bytearray(size))
    while True:
        try:
            n = carrier.receive_into(buffer)
        except LaneLostError as lost:
            return bytes(got), lost.message
        got += buffer[:n]
