"""Flow keys and addresses, against packets that scapy made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)

from kttun.packet import flow

VNET = bytes(10)
ports = st.tuples(st.integers(0, 65535), st.integers(0, 65535))
v4 = st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4))
v6 = st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6))


@given(v4, ports, st.sampled_from([TCP, UDP]), st.binary(max_size=40), st.integers(0, 2))
def test_ipv4_key_is_protocol_addresses_and_ports_whatever_the_options(addresses, ports, layer, payload, options):
    (src, dst), (sport, dport) = addresses, ports
    packet = IP(src=str(src), dst=str(dst), options=[b"\x01\x01\x01\x01"] * options) / layer(sport=sport, dport=dport)
    raw = VNET + bytes(packet / payload)
    expected = bytes([6 if layer is TCP else 17]) + src.packed + dst.packed
    assert flow.flow_key(raw) == expected + sport.to_bytes(2, "big") + dport.to_bytes(2, "big")
    assert flow.flow_key(memoryview(raw)) == flow.flow_key(raw)
    assert flow.source(raw) == src.packed
    assert flow.destination(raw) == dst.packed
    assert flow.protocol(raw) == expected[0]


@given(v6, ports, st.sampled_from([TCP, UDP]), st.lists(st.sampled_from("hd"), max_size=3))
def test_ipv6_key_is_protocol_addresses_and_ports_behind_any_extensions(addresses, ports, layer, extensions):
    (src, dst), (sport, dport) = addresses, ports
    packet = IPv6(src=str(src), dst=str(dst))
    for kind in extensions:
        packet /= IPv6ExtHdrHopByHop() if kind == "h" else IPv6ExtHdrDestOpt()
    raw = VNET + bytes(packet / layer(sport=sport, dport=dport))
    expected = bytes([6 if layer is TCP else 17]) + src.packed + dst.packed
    assert flow.flow_key(raw) == expected + sport.to_bytes(2, "big") + dport.to_bytes(2, "big")
    assert flow.source(raw) == src.packed
    assert flow.destination(raw) == dst.packed
    assert flow.protocol(raw) == expected[0]


@pytest.mark.parametrize(("flags", "offset"), [("MF", 0), (0, 185), ("MF", 185)])
def test_all_fragments_of_a_packet_share_a_key_without_ports(flags, offset):
    raw = VNET + bytes(IP(src="10.0.0.1", dst="10.0.0.2", flags=flags, frag=offset, proto=17) / (b"\x12\x34" * 20))
    assert flow.flow_key(raw) == b"\x11\x0a\0\0\x01\x0a\0\0\x02"


def test_dont_fragment_is_not_a_fragment():
    raw = VNET + bytes(IP(src="10.0.0.1", dst="10.0.0.2", flags="DF") / TCP(sport=1, dport=2))
    assert flow.flow_key(raw) == b"\x06\x0a\0\0\x01\x0a\0\0\x02\0\x01\0\x02"


def test_ipv6_fragments_share_a_key_without_ports():
    first = VNET + bytes(IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrFragment(m=1, id=7) / UDP(sport=1, dport=2))
    later = VNET + bytes(IPv6(src="fd00::1", dst="fd00::2") / IPv6ExtHdrFragment(offset=9, id=7, nh=17) / (b"x" * 30))
    assert flow.flow_key(first) == flow.flow_key(later)
    assert len(flow.flow_key(first)) == 33
    assert flow.protocol(later) == 17


def test_two_pings_are_two_flows_and_an_icmp_error_is_none_of_them():
    head = IP(src="10.0.0.1", dst="10.0.0.2")
    one = flow.flow_key(VNET + bytes(head / ICMP(id=1, seq=1)))
    again = flow.flow_key(VNET + bytes(head / ICMP(id=1, seq=2)))
    two = flow.flow_key(VNET + bytes(head / ICMP(id=2, seq=1)))
    error = flow.flow_key(VNET + bytes(head / ICMP(type=3, code=1) / (b"x" * 28)))
    assert one == again
    assert len({one, two, error}) == 3
    assert error == b"\x01\x0a\0\0\x01\x0a\0\0\x02"


def test_icmpv6_echo_has_its_id_and_neighbour_discovery_has_none():
    head = IPv6(src="fd00::1", dst="fd00::2")
    assert flow.flow_key(VNET + bytes(head / ICMPv6EchoRequest(id=0x1234)))[-2:] == b"\x12\x34"
    assert len(flow.flow_key(VNET + bytes(head / ICMPv6ND_NS()))) == 33


@pytest.mark.parametrize(
    "packet",
    [b"", VNET, VNET + b"E", VNET + b"E" + bytes(18), VNET + b"\x60" + bytes(38), VNET + b"\x10" + bytes(60)],
)
def test_what_is_not_an_ip_packet_has_the_empty_key(packet):
    assert flow.flow_key(packet) == b""
    assert flow.source(packet) == b""
    assert flow.destination(packet) == b""
    assert flow.protocol(packet) == -1


def test_an_ipv4_header_length_that_lies_gives_the_empty_key():
    raw = bytearray(VNET + bytes(IP() / TCP()))
    for length in (0x40, 0x44, 0x4F):
        raw[10] = length
        assert flow.flow_key(bytes(raw)) == b""


def test_a_transport_header_cut_short_leaves_the_key_of_its_addresses():
    whole = VNET + bytes(IP(src="10.0.0.1", dst="10.0.0.2") / TCP())
    assert flow.flow_key(whole[:33]) == b"\x06\x0a\0\0\x01\x0a\0\0\x02"
    six = VNET + bytes(IPv6(src="fd00::1", dst="fd00::2") / UDP())
    assert len(flow.flow_key(six[:52])) == 33
    ping = VNET + bytes(IP() / ICMP())
    assert len(flow.flow_key(ping[:34])) == 9


def test_a_chain_of_extensions_without_end_stops():
    looping = VNET + bytes(IPv6(nh=0)) + b"\0\0\0\0\0\0\0\0" * 20
    assert flow.flow_key(looping)[0] == 0
    cut = VNET + bytes(IPv6(nh=0)) + b"\x06\xff\0\0\0\0\0\0"
    assert len(flow.flow_key(cut)) == 33


@given(st.binary(max_size=120))
def test_no_bytes_ever_raise(data):
    for packet in (data, VNET + b"E" + data, VNET + b"\x60" + data, VNET + b"\x4f" + data):
        key = flow.flow_key(packet)
        assert (key == b"") == (flow.protocol(packet) == -1)
        assert not key or key[0] == flow.protocol(packet)
        assert not key or flow.key_source(key) == flow.source(packet)
        assert not key or flow.source(packet) + flow.destination(packet) in key


@given(
    st.one_of(v4, v6),
    st.sampled_from(["A", "S", "SA", "FA", "PA", "R", "RA", "AE", "AU", ""]),
    st.binary(max_size=3),
    st.lists(st.sampled_from([("NOP", None), ("Timestamp", (1, 2)), ("SAck", (5, 9))]), max_size=2),
)
def test_a_bare_ack_is_tcp_without_data_and_without_any_other_flag(addresses, flags, payload, options):
    src, dst = addresses
    layer = IP if src.version == 4 else IPv6
    raw = VNET + bytes(layer(src=str(src), dst=str(dst)) / TCP(flags=flags, options=options) / payload)
    assert flow.is_bare_ack(raw) == (flags == "A" and not payload)
    assert flow.is_bare_ack(memoryview(raw)) == flow.is_bare_ack(raw)


@given(st.binary(max_size=140))
def test_whether_bytes_are_a_bare_ack_is_always_answered(raw):
    assert flow.is_bare_ack(raw) in {True, False}


def test_udp_of_the_same_shape_is_no_bare_ack():
    assert not flow.is_bare_ack(VNET + bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / (b"\x50\x10" * 6)))


def test_what_is_neither_plain_ipv4_nor_ipv6_is_no_bare_ack():
    ack = bytearray(VNET + bytes(IP(src="10.0.0.1", dst="10.0.0.2") / TCP(flags="A")))
    for first_byte in (0x46, 0x55, 0x05):
        ack[len(VNET)] = first_byte
        assert not flow.is_bare_ack(ack)
