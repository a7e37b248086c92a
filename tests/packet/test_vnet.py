"""Segmentation, against scapy's own checksums and the rules of the kernel's segmenter."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6

from kttun.packet import vnet


def super_packet(ip, kind, size, flags=vnet.NEEDS_CSUM):
    """As a TUN gives it: transport checksum not complete."""
    raw = bytes(ip)
    start = 20 if ip.version == 4 else 40
    offset = 16 if TCP in ip else 6
    header = struct.pack("<BBHHHH", flags, kind, start + 20, size, start, offset)
    return header + raw


def parse(packet):
    assert packet[:10] == bytes(10)
    return IP(packet[10:]) if packet[10] >> 4 == 4 else IPv6(packet[10:])


def assert_sound(packet):
    """Lengths fit and scapy computes the same checksums."""
    parsed = parse(packet)
    layer = parsed[TCP] if TCP in parsed else parsed[UDP]
    again = parsed.copy()
    inner = again[TCP] if TCP in again else again[UDP]
    del inner.chksum
    if parsed.version == 4:
        assert parsed.len == len(packet) - 10
        del again.chksum
    else:
        assert parsed.plen == len(packet) - 50
    again = type(parsed)(bytes(again))
    assert (again[TCP] if TCP in again else again[UDP]).chksum == layer.chksum
    if parsed.version == 4:
        assert again.chksum == parsed.chksum
    return parsed


networks = st.sampled_from([(IP(src="10.1.2.3", dst="10.9.8.7", id=65534), 1), (IPv6(src="fd00::1", dst="fd00::2"), 4)])
payloads = st.binary(min_size=1, max_size=5000)
sizes = st.integers(1, 1448)


@given(
    networks, payloads, st.integers(200, 1448), st.integers(0, 2**32 - 1), st.sampled_from(["PA", "FPA", "A", "CEPA"])
)
def test_tcp_is_cut_as_a_network_card_would(network, payload, size, sequence, flags):
    ip, kind = network
    options = [("Timestamp", (7, 9)), ("NOP", None), ("NOP", None)]
    tcp = TCP(sport=1, dport=2, seq=sequence, ack=5, flags=flags, window=77, options=options)
    parts = [assert_sound(part) for part in vnet.segment(super_packet(ip / tcp / payload, kind, size))]
    assert b"".join(bytes(part[TCP].payload) for part in parts) == payload
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        assert part[TCP].seq == (sequence + index * size) % 2**32
        assert len(bytes(part[TCP].payload)) == size or last
        assert ("F" in part[TCP].flags) == ("F" in flags and last)
        assert ("P" in part[TCP].flags) == ("P" in flags and last)
        assert ("C" in part[TCP].flags) == ("C" in flags and not index)
        assert ("E" in part[TCP].flags) == ("E" in flags)
        assert part[TCP].options[0] == ("Timestamp", (7, 9))
        assert part.version == 6 or part.id == (65534 + index) % 65536


@given(networks, payloads, st.integers(200, 1448))
def test_udp_is_cut_into_datagrams_of_their_own(network, payload, size):
    packet = super_packet(network[0] / UDP(sport=1, dport=2) / payload, vnet.GSO_UDP_L4, size)
    parts = [assert_sound(part) for part in vnet.segment(packet)]
    assert b"".join(bytes(part[UDP].payload) for part in parts) == payload
    assert all(part[UDP].len == 8 + len(bytes(part[UDP].payload)) for part in parts)


def test_an_ecn_super_packet_is_cut_as_well():
    packet = super_packet(IP() / TCP(flags="CEA") / (b"x" * 100), vnet.GSO_TCPV4 | vnet.GSO_ECN, 60)
    assert [str(parse(part)[TCP].flags) for part in vnet.segment(packet)] == ["AEC", "AE"]


@given(networks, st.sampled_from([TCP, UDP]), st.binary(max_size=100))
def test_a_partial_checksum_is_completed(network, layer, payload):
    ip = network[0] / layer(sport=1, dport=2) / payload
    raw = bytearray(super_packet(ip, vnet.GSO_NONE, 0))
    start, offset = struct.unpack_from("<HH", raw, 6)
    pseudo = raw[22:30] if ip.version == 4 else raw[18:50]
    protocol = 6 if layer is TCP else 17
    partial = vnet.checksum(pseudo, protocol + len(raw) - 10 - start) ^ 0xFFFF
    raw[10 + start + offset : 12 + start + offset] = partial.to_bytes(2, "big")
    (whole,) = vnet.segment(bytes(raw))
    assert_sound(whole)


def test_a_complete_packet_comes_back_as_it_is():
    raw = bytes(10) + bytes(IP() / TCP() / b"abc")
    assert vnet.segment(raw) == [raw]
    assert vnet.segment(memoryview(raw)) == [raw]


def test_a_udp_checksum_of_zero_is_sent_as_ffff():
    ip = IP(src="0.0.0.0", dst="0.0.0.0") / UDP(sport=0, dport=0, chksum=0) / b"\0\0"
    raw = bytearray(bytes(ip))
    # Ports chosen so that the sum over pseudo-header and datagram is 0xFFFF.
    # The rest of it: protocol 17 and the length 10, twice.
    raw[20:22] = (0xFFFF - 17 - 10 - 10).to_bytes(2, "big")
    header = struct.pack("<BBHHHH", 1, vnet.GSO_UDP_L4, 28, 100, 20, 6)
    (part,) = vnet.segment(header + bytes(raw))
    assert part[36:38] == b"\xff\xff"


def tampered(**changes):
    packet = bytearray(super_packet(IP() / TCP() / (b"x" * 3000), vnet.GSO_TCPV4, 1000))
    for at, value in changes.values():
        packet[at] = value
    return bytes(packet)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(9),
        struct.pack("<BBHHHH", 0, 1, 0, 100, 0, 0),
        tampered(kind=(1, 3)),
        tampered(udp_kind_on_tcp=(1, vnet.GSO_UDP_L4)),
        tampered(low=(4, 0), high=(5, 0)),
        tampered(version=(10, 0x55)),
        tampered(ihl=(10, 0x41)),
        tampered(protocol=(19, 50)),
        tampered(data_offset=(42, 0x10)),
        super_packet(IP() / TCP() / (b"x" * 3000), vnet.GSO_TCPV4, 1000)[:45],
        super_packet(IP() / UDP() / (b"x" * 3000), vnet.GSO_UDP_L4, 1000)[:38],
        super_packet(IPv6(nh=0) / (b"x" * 3000), vnet.GSO_TCPV6, 1000),
        struct.pack("<BBHHHH", 1, 0, 0, 0, 60000, 16) + bytes(IP() / TCP()),
    ],
)
def test_headers_that_contradict_the_length_give_nothing(packet):
    assert vnet.segment(packet) == []


def test_the_header_is_read_field_by_field():
    assert vnet.read_header(struct.pack("<BBHHHH", 1, 5, 28, 1200, 20, 6)) == (1, 5, 28, 1200, 20, 6)
    assert vnet.read_header(bytes(9)) is None


@given(st.binary(max_size=200), st.integers(0, 255), st.integers(0, 255), st.integers(0, 65535))
def test_no_bytes_ever_raise(data, flags, kind, size):
    for first in (b"", b"\x45", b"\x60"):
        packet = struct.pack("<BBHHHH", flags, kind, 0, size, 20, 16) + first + data
        assert all(part[:10] == bytes(10) for part in vnet.segment(packet))


@given(st.binary(max_size=64))
def test_the_checksum_is_the_one_of_rfc_1071(data):
    total = 0
    padded = data + b"\0" * (len(data) % 2)
    for index in range(0, len(padded), 2):
        total += int.from_bytes(padded[index : index + 2], "big")
        total = (total & 0xFFFF) + (total >> 16)
    assert vnet.checksum(data) == total ^ 0xFFFF
