"""The TUN's side: what a kernel refuses is cut, and counters agree with the kernel's own."""

import errno
import json
import os
import socket
import struct
import subprocess
import sys

import pytest
from scapy.layers.inet import IP, TCP

from kttun.link import tun as tun_module
from kttun.link.queues import FlowQueues
from kttun.link.tun import READ_BUDGET, Tun, TunLostError
from kttun.packet import vnet
from kttun.stats.counters import Counters

LAPTOP = socket.inet_aton("100.64.0.2")
SUPER = struct.pack("<BBHHHH", 1, 1, 40, 1000, 20, 16) + bytes(
    IP(src="10.0.0.9", dst="100.64.0.2") / TCP(flags="PA") / (b"x" * 2500)
)


@pytest.fixture
def kernel():
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far.setblocking(False)
    yield near, far
    near.close()
    far.close()


@pytest.fixture
def refusing(monkeypatch, kernel):
    """A kernel that does not take the GSO kinds in the set; every write it sees is noted."""
    refused, seen, real = set(), [], os.write

    def write(fd, data):
        seen.append(bytes(data))
        if data[1] in refused:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(fd, data)

    monkeypatch.setattr(tun_module.os, "write", write)
    return refused, seen


def make(fd, *, at_gateway=False):
    counters = Counters()
    return Tun(fd, inner_addresses=[LAPTOP], at_gateway=at_gateway, counters=counters), counters


def test_a_refused_super_packet_is_cut_and_the_refusal_remembered(kernel, refusing):
    refused, seen = refusing
    refused.add(vnet.GSO_TCPV4)
    tun, counters = make(kernel[0].fileno())
    tun.write([memoryview(SUPER), memoryview(SUPER)])
    assert [each[1] for each in seen] == [1, 0, 0, 0, 0, 0, 0]
    assert seen[1:4] == vnet.segment(SUPER)
    assert (counters.segmented, counters.rx_packets) == (2, 6)
    assert counters.rx_bytes == 2 * (2500 + 3 * 40)


def test_a_refusal_of_the_parts_too_is_not_remembered(kernel, refusing):
    refused, seen = refusing
    refused.update({0, 1})
    tun, counters = make(kernel[0].fileno())
    tun.write([memoryview(SUPER)])
    assert counters.snapshot().to_json()["drops"]["tun_write"] == 3
    seen.clear()
    refused.clear()
    tun.write([memoryview(SUPER)])
    assert seen == [SUPER]


def test_a_refused_plain_or_senseless_packet_is_malformed(kernel, refusing):
    refused, _ = refusing
    refused.update({0, 1})
    tun, counters = make(kernel[0].fileno())
    tun.write([memoryview(bytes(10) + SUPER[10:]), memoryview(SUPER[:30])])
    assert counters.snapshot().to_json()["drops"]["malformed"] == 2
    assert counters.rx_packets == 0


def test_at_the_gateway_what_has_no_source_is_malformed(kernel):
    tun, counters = make(kernel[0].fileno(), at_gateway=True)
    tun.write([memoryview(bytes(12)), memoryview(SUPER)])
    drops = counters.snapshot().to_json()["drops"]
    assert (drops["malformed"], drops["spoofed_source"]) == (1, 1)


def test_one_turn_reads_no_more_than_its_budget(kernel):
    near, far = kernel
    tun, counters = make(near.fileno(), at_gateway=True)
    for end in kernel:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    sent = 0
    queues = FlowQueues()
    while sent < 20 and far.send(bytes(10) + bytes(IP() / TCP() / (b"x" * 30_000))):
        sent += 1
    tun.read(queues)
    assert READ_BUDGET <= counters.tx_bytes + 600 * counters.tx_packets < READ_BUDGET + 32_000
    tun.read(queues)
    assert counters.tx_packets > READ_BUDGET // 30_000


def test_the_end_of_the_device_is_an_error_of_its_own(kernel):
    near, far = kernel
    tun, _ = make(near.fileno())
    far.close()
    with pytest.raises(TunLostError, match="end of file"):
        tun.read(FlowQueues())


def test_a_reading_error_is_the_end_of_the_device(kernel, monkeypatch):
    tun, _ = make(kernel[0].fileno())

    def gone(_fd, _size):
        raise OSError(errno.EBADFD, "gone")

    monkeypatch.setattr(tun_module.os, "read", gone)
    with pytest.raises(TunLostError, match="bad state"):
        tun.read(FlowQueues())


KERNEL = """
import fcntl, json, os, socket, struct, subprocess, sys
from scapy.layers.inet import IP, UDP
from kttun.link.queues import FlowQueues
from kttun.link.tun import Tun
from kttun.stats.counters import Counters

fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x1 | 0x1000 | 0x4000))
fcntl.ioctl(fd, 0x400454D0, 0x1 | 0x2 | 0x4)
for line in ("addr add 100.64.0.2/24 dev tun0", "link set tun0 up"):
    subprocess.run(["ip", *line.split()], check=True)
counters, queues = Counters(), FlowQueues()
tun = Tun(fd, inner_addresses=[socket.inet_aton("100.64.0.2")], at_gateway=False, counters=counters)
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for size in (1, 100, 1400, 9000):
    client.sendto(bytes(size), ("100.64.0.9", 7))
tun.read(queues)
back = IP(src="100.64.0.9", dst="100.64.0.2") / UDP(sport=7, dport=client.getsockname()[1]) / (b"y" * 700)
tun.write([memoryview(bytes(10) + bytes(back)), memoryview(bytes(10) + b"\\x10nonsense")])
tun.read(queues)
client.settimeout(5)
assert client.recv(2000) == b"y" * 700
kernel = json.loads(subprocess.check_output(["ip", "-s", "-j", "link", "show", "tun0"]))[0]["stats64"]
ours = counters.snapshot().to_json()
print(json.dumps([ours, kernel]))
"""


@pytest.mark.netns
@pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace")
def test_counters_agree_with_ip_link():
    command = ["unshare", "-n", sys.executable, "-c", KERNEL]
    ours, kernel = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60).stdout)
    # The device's own view: it transmits what we read.
    assert ours["tx_packets"] == kernel["tx"]["packets"] >= 4
    assert ours["tx_bytes"] == kernel["tx"]["bytes"]
    assert ours["rx_packets"] == kernel["rx"]["packets"] == 1
    assert ours["rx_bytes"] == kernel["rx"]["bytes"] == 728
    assert ours["drops"]["malformed"] == 1
