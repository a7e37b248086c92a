"""Which flow a packet belongs to, and between whom: header fields read in place, on the data path.

Offsets below count from the first byte of the packet, so the 10 bytes of virtio_net_hdr are in them. Nothing here
raises: whatever is not a packet has the flow key `b""`, which no packet has.

IPv4: RFC 791 section 3.1. IPv6: RFC 8200 sections 3 and 4. TCP and UDP begin with their ports (RFC 9293 section 3.1,
RFC 768), ICMP and ICMPv6 echo carry an identifier at byte 4 (RFC 792, RFC 4443 section 4).
"""

from __future__ import annotations

from kttun.packet.vnet import HEADER_SIZE

ICMP = 1
TCP = 6
UDP = 17
ICMPV6 = 58

_IP = HEADER_SIZE
_V4_END = _IP + 20
_V6_END = _IP + 40
_WITH_PORTS = frozenset({TCP, UDP, 33, 132, 136})  # and DCCP, SCTP, UDP-Lite: ports in the first four bytes, too
_ECHOES = frozenset({(ICMP, 0), (ICMP, 8), (ICMPV6, 128), (ICMPV6, 129)})
_ACK = 0x10
_LONGEST_ACK = _V6_END + 60  # a TCP header has at most 40 bytes of options
_FRAGMENT = 44
_OPTIONS = frozenset({0, 43, 60})  # hop-by-hop, routing, destination options: next header, length in 8 bytes - 1
_MOST_EXTENSIONS = 8


def flow_key(packet: bytes | memoryview) -> bytes:
    """Give the bytes that name the packet's flow in its own direction; equal for all packets of a flow.

    `packet` begins with its virtio_net_hdr. The key is the protocol number (one byte), source and destination address,
    then the two ports, or the ICMP echo identifier, or nothing: for fragments (only the first has ports, and all
    must share a queue to keep their order), for other protocols and for headers cut short. `key[0]` is the
    protocol. Not an IP packet, or shorter than its IP header: `b""`.
    """
    version = packet[_IP] if len(packet) >= _V4_END else 0
    if version == 0x45:
        protocol = packet[19]
        if protocol in _WITH_PORTS and not (packet[16] & 0x3F or packet[17]) and len(packet) >= 34:
            return bytes(packet[19:20]) + packet[22:34]
    elif version >> 4 == 6 and len(packet) >= _V6_END and packet[16] in _WITH_PORTS and len(packet) >= 54:
        return bytes(packet[16:17]) + packet[18:54]
    return _uncommon_key(packet)


def is_bare_ack(packet: bytes | memoryview) -> bool:
    """Tell whether the packet is a TCP segment that does nothing but acknowledge: no data, no flag besides ACK.

    Such a packet may wait a moment without any program noticing. False for IPv4 with options, IPv6 with extension
    headers and whatever is malformed: telling for certain is not worth the time. Offsets: RFC 791 section 3.1, RFC
    8200 section 3, RFC 9293 section 3.1, behind 10 bytes of virtio_net_hdr.
    """
    size = len(packet)
    if size > _LONGEST_ACK or size < _V4_END + 20:
        return False
    if packet[_IP] == 0x45:
        return packet[19] == TCP and packet[43] == _ACK and size == _V4_END + (packet[42] >> 4) * 4
    if packet[_IP] >> 4 == 6 and size >= _V6_END + 20:
        return packet[16] == TCP and packet[63] == _ACK and size == _V6_END + (packet[62] >> 4) * 4
    return False


def key_source(key: bytes) -> bytes:
    """Give the source address in a flow key: cheaper on the data path than to look into the packet again."""
    return key[1:5] if len(key) < 33 else key[1:17]


def protocol(packet: bytes | memoryview) -> int:
    """Give the protocol number above IP, behind any IPv6 extension headers; -1 for what is not an IP packet."""
    return _above(packet)[0]


def source(packet: bytes | memoryview) -> bytes:
    """Give the source address, 4 or 16 bytes in network order; `b""` for what is not an IP packet."""
    if len(packet) >= _V4_END:
        version = packet[_IP] >> 4
        if version == 4:
            return bytes(packet[22:26])
        if version == 6 and len(packet) >= _V6_END:
            return bytes(packet[18:34])
    return b""


def destination(packet: bytes | memoryview) -> bytes:
    """Give the destination address, 4 or 16 bytes in network order; `b""` for what is not an IP packet."""
    if len(packet) >= _V4_END:
        version = packet[_IP] >> 4
        if version == 4:
            return bytes(packet[26:30])
        if version == 6 and len(packet) >= _V6_END:
            return bytes(packet[34:50])
    return b""


def _uncommon_key(packet: bytes | memoryview) -> bytes:
    number, start = _above(packet)
    if number < 0:
        return b""
    key = bytes([number]) + source(packet) + destination(packet)
    if 0 < start <= len(packet) - 6 and number in {ICMP, ICMPV6}:
        return key + packet[start + 4 : start + 6] if (number, packet[start]) in _ECHOES else key
    return key + packet[start : start + 4] if 0 < start <= len(packet) - 4 and number in _WITH_PORTS else key


def _above(packet: bytes | memoryview) -> tuple[int, int]:
    """Give (protocol, offset of its header); offset 0 for a fragment; protocol -1 for what is not an IP packet."""
    if len(packet) < _V4_END:
        return -1, 0
    first = packet[_IP]
    if first >> 4 == 4:
        start = _IP + (first & 15) * 4
        if not _V4_END <= start <= len(packet):
            return -1, 0
        return packet[19], 0 if packet[16] & 0x3F or packet[17] else start
    if first >> 4 == 6 and len(packet) >= _V6_END:
        return _behind_extensions(packet)
    return -1, 0


def _behind_extensions(packet: bytes | memoryview) -> tuple[int, int]:
    """Walk the IPv6 extension headers; a chain cut short or too long counts as the protocol it stopped at."""
    number, start = packet[16], _V6_END
    for _ in range(_MOST_EXTENSIONS):
        if number == _FRAGMENT and start + 8 <= len(packet):
            return packet[start], 0  # also when it is the only fragment: rare, and order is kept
        if number not in _OPTIONS or start + 2 > len(packet):
            break
        number, start = packet[start], start + 8 * (packet[start + 1] + 1)
    return number, start if start <= len(packet) else 0
