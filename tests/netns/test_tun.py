import errno
import fcntl
import os
import select
import socket
import struct
from pathlib import Path

import pytest

from kttun.errors import EnvironmentFaultError
from kttun.host.device import configure_link
from kttun.host.tun import VNET_HDR_BYTES, Offload, ensure_device_node, open_tun
from kttun.routing.hostconfig import HostConfig, OffloadWish

UDP_SEGMENT = 103  # linux/udp.h
GSO_UDP_L4 = 5  # linux/virtio_net.h
KERNEL = tuple(int(part) for part in os.uname().release.split(".")[:2])


def test_the_first_free_name_is_taken():
    first, second = open_tun(), open_tun()
    assert [first.name, second.name] == ["kttun0", "kttun1"]
    assert socket.if_nametoindex("kttun0") == first.index
    first.close()
    third = open_tun()
    assert third.name == "kttun0"
    second.close()
    third.close()


def test_the_device_goes_with_its_descriptor():
    open_tun("abc").close()
    assert "abc" not in [name for _, name in socket.if_nameindex()]


def test_a_descriptor_is_not_inherited_and_never_blocks(tun):
    assert not os.get_inheritable(tun.fd)
    with pytest.raises(BlockingIOError):
        os.read(tun.fileno(), 100)


def test_somebody_elses_device_is_never_attached_to(device):
    device("theirs")
    with pytest.raises(EnvironmentFaultError, match="theirs exists") as caught:
        open_tun("theirs")
    assert "--tun-name" in caught.value.hints[0]


def test_a_missing_device_node_says_how_to_load_the_driver(tmp_path):
    with pytest.raises(EnvironmentFaultError, match="does not exist") as caught:
        open_tun(device=tmp_path / "tun")
    assert "modprobe tun" in caught.value.hints[0]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (OffloadWish.ALL, Offload.TCP | Offload.UDP if KERNEL >= (6, 2) else Offload.TCP),
        (OffloadWish.TCP, Offload.TCP),
        (OffloadWish.NONE, Offload.NONE),
    ],
)
def test_offloads_in_force_are_reported(wish, expected):
    opened = open_tun(wish=wish)
    assert opened.offloads == expected
    opened.close()


def test_a_kernel_without_uso_keeps_tso(monkeypatch):
    real = fcntl.ioctl

    def old_kernel(fd, request, argument):
        if isinstance(argument, int) and argument & Offload.UDP:
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(fd, request, argument)

    monkeypatch.setattr(fcntl, "ioctl", old_kernel)
    opened = open_tun()
    assert opened.offloads == Offload.TCP
    opened.close()


@pytest.mark.skipif(KERNEL < (6, 2), reason="USO came with Linux 6.2")
@pytest.mark.parametrize("address", ["10.99.0.1/24", "fd99::1/64"])
def test_a_super_packet_is_read_whole_with_its_header(tun, echo, address):
    config = HostConfig.from_json(HostConfig("a", 1400).to_json() | {"addresses": [address]})
    configure_link(tun, 1400, config.addresses, echo)
    (own,) = config.addresses
    family = socket.AF_INET if own.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1200)
        sender.sendto(bytes(12_000), (str(own.ip + 1), 9))
    assert select.select([tun], [], [], 5)[0]
    packet = os.read(tun.fd, 1 << 16)
    flags, kind, _, size, _, _ = struct.unpack_from("=BBHHHH", packet)
    assert (flags, kind, size) == (1, GSO_UDP_L4, 1200)
    assert len(packet) == VNET_HDR_BYTES + (28 if own.version == 4 else 48) + 12_000


def test_a_missing_node_is_made_and_works():
    node = Path("/run/dev/net/tun")
    ensure_device_node(node)
    ensure_device_node(node)
    opened = open_tun(device=node)
    assert opened.name == "kttun0"
    opened.close()


def test_something_else_in_the_nodes_place_is_named():
    Path("/run/tun").write_text("")
    with pytest.raises(EnvironmentFaultError, match="not a device"):
        ensure_device_node(Path("/run/tun"))
