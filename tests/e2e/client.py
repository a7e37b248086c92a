"""What a program on the laptop does over the network, told in JSON; runs there, with nothing but Python.

client.py uploads URL COUNT SIZE       [{"bytes", "same"}]: parallel POSTs of random bytes, compared by SHA-256
client.py connect HOST PORT            {"error"}: the name of the error, or null
client.py datagrams HOST PORT SIZE N   {"echoed"}: one after the other, compared byte by byte
client.py addresses NAME               [ADDRESS]: what a program gets that asks for the name
client.py hold HOST PORT               one connection; each number that came back on a line, until stdin ends
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import select
import socket
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

PATIENCE_S = 30
HELD_PATIENCE_S = 90
"""Longer than any fault lasts; a connection that is dead for good must be noticed too."""


def uploads(url: str, number: str, size: str) -> list[dict[str, Any]]:
    """Upload different random bytes in parallel and compare what came out."""
    with ThreadPoolExecutor(int(number)) as threads:
        return list(threads.map(lambda _: _upload(url, int(size)), range(int(number))))


def _upload(url: str, size: int) -> dict[str, Any]:
    body = os.urandom(size)
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=PATIENCE_S) as response:
        answer = json.load(response)
    return {"bytes": answer["bytes"], "same": answer["sha256"] == hashlib.sha256(body).hexdigest()}


def connect(host: str, port: str) -> dict[str, str | None]:
    """Try to connect."""
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE_S).close()
    except OSError as error:
        return {"error": errno.errorcode.get(error.errno or 0, str(error))}
    return {"error": None}


def datagrams(host: str, port: str, size: str, number: str) -> dict[str, int]:
    """Send datagrams, each when the one before has come back."""
    echoed = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(PATIENCE_S / 3)
        udp.connect((host, int(port)))
        for _ in range(int(number)):
            datagram = os.urandom(int(size))
            udp.send(datagram)
            echoed += udp.recv(1 << 16) == datagram
    return {"echoed": echoed}


def addresses(name: str) -> list[str]:
    """Look a name up as programs do."""
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None, socket.AF_INET)})


def hold(host: str, port: str) -> None:
    """Send numbers over one connection and wait for each."""
    with socket.create_connection((host, int(port)), timeout=HELD_PATIENCE_S) as connection:
        lines = connection.makefile("r")
        for number in count():
            connection.sendall(f"{number}\n".encode())
            if lines.readline() != f"{number}\n":
                sys.exit(f"{number} did not come back")
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            if select.select([sys.stdin], [], [], 0.05)[0]:
                return


VERBS = {each.__name__: each for each in (uploads, connect, datagrams, addresses, hold)}


if __name__ == "__main__":
    answer = VERBS[sys.argv[1]](*sys.argv[2:])
    if answer is not None:
        sys.stdout.write(json.dumps(answer))
