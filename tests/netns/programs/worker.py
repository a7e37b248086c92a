"""A worker in small: reads one JSON line a request from stdin, answers each by one line, ends at its end.

{"apply": CONFIG}    makes the machine so; the answer tells what came back
{"attack": true}     tries every way back to root; the answer tells which succeeded
{"send": TEXT}       sends raw bytes to the helper; the answer is the helper's own
{"exit": CODE}       ends at once
"""

import errno
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

from kttun.errors import KttunError
from kttun.host.client import HelperClient
from kttun.host.privileges import give_up, set_capabilities
from kttun.routing.hostconfig import HostConfig


def answer(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def end(number, frame):
    os._exit(130 if number == signal.SIGINT else 143)


def attack():
    def tun():
        with Path("/dev/net/tun").open("r+b", buffering=0) as device:
            fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"evil0", 0x1001))  # TUNSETIFF

    def route():
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
            body = struct.pack("=8BI", 2, 32, 0, 0, 254, 3, 253, 1, 0) + struct.pack("=HH4s", 8, 1, b"\x0a\x00\x00\x01")
            body += struct.pack("=HHI", 8, 4, socket.if_nametoindex("lo"))
            netlink.send(struct.pack("=IHHII", 16 + len(body), 24, 0x405, 1, 0) + body)
            (code,) = struct.unpack_from("=i", netlink.recv(4096), 16)
            if code:
                raise OSError(-code, os.strerror(-code))

    def write():
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    ways = {
        "setgroups": lambda: os.setgroups([0]),
        "capset": lambda: set_capabilities(1 << 12),
        "tun": tun,
        "route": route,
        "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
        "chroot": lambda: os.chroot("/"),
        "sysctl": write if os.getuid() else lambda: socket.sethostname("evil"),
        "chown": lambda: os.chown("/run", 1, 1),
        # Last, because it would take the power away that the others try.
        "setuid": lambda: os.setuid(0) if os.getuid() else os.setuid(1),
    }
    worked = []
    for name, way in ways.items():
        try:
            way()
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES):
                worked.append(f"{name}: {error}")
        else:
            worked.append(name)
    return worked


signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGHUP, end)
give_up()
client = HelperClient.from_environment()
inheritable = os.get_inheritable(client.fileno())
answer(
    pid=os.getpid(),
    uid=os.getresuid(),
    groups=os.getgroups(),
    home=os.environ.get("HOME"),
    user=os.environ.get("USER"),
    inheritable=inheritable,
)
for line in sys.stdin:
    request = json.loads(line)
    if "exit" in request:
        os._exit(request["exit"])
    if "attack" in request:
        answer(worked=attack())
    if "send" in request:
        with suppress(BrokenPipeError):
            client._socket.sendall(request["send"].encode())
        reply = client._channel.receive()
        answer(reply=None if reply is None else reply.parsed())
    if "apply" in request:
        try:
            done = client.apply(HostConfig.from_json(request["apply"]))
        except KttunError as error:
            answer(error=error.message, hints=error.hints, code=error.exit_code, gone=client.is_gone())
        else:
            answer(
                in_force=done.in_force.to_json(),
                echo=done.echo,
                tun=done.tun_fd is not None,
                dns=[[str(s.address), s.tcp, s.socket.getsockname()[1], s.socket.detach() > 0] for s in done.dns],
                control=done.control is not None and done.control.detach() > 0,
                gone=client.is_gone(),
            )
    if "wait" in request:
        while not client.is_gone():
            signal.sigtimedwait([], 0.01)
        answer(gone=True)
