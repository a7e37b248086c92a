"""The virtio_net_hdr in front of each packet, and segmentation where the receiving kernel cannot do it.

With IFF_VNET_HDR the kernel hands over super-packets: up to 64 KiB of one flow with a single header, checksum not yet
computed (linux/virtio_net.h, `struct virtio_net_hdr`; Documentation/networking/tuntap). They cross the tunnel whole. A
kernel that does not know the kind (UDP_L4 before Linux 6.2) refuses the write with EINVAL; then `segment` does what the
sender's network card would have done (net/ipv4/tcp_offload.c, udp_offload.c, af_inet.c: `inet_gso_segment`).

Fields are little-endian: both ends are Linux on little-endian machines, or ask their TUN for it (TUNSETVNETLE).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

HEADER_SIZE = 10
"""Bytes of `struct virtio_net_hdr` without the mergeable-buffers field."""

NEEDS_CSUM = 0x01
"""`flags`: the checksum field holds only the pseudo-header's sum; complete it from `csum_start` on."""

GSO_NONE = 0
GSO_TCPV4 = 1
GSO_TCPV6 = 4
GSO_UDP_L4 = 5
GSO_ECN = 0x80
"""Or-ed to `gso_type`: the TCP super-packet has CWR set (RFC 3168 section 6.1.2)."""

_TCP = 6
_UDP = 17
_FIN_PSH = 0x09
_CWR = 0x80
_HEADER = struct.Struct("<BBHHHH")
_PLAIN = bytes(HEADER_SIZE)


class VnetHeader(NamedTuple):
    """`struct virtio_net_hdr`: offsets count from the first byte of the IP header, all sizes are bytes."""

    flags: int
    gso_type: int
    hdr_len: int
    """Headers up to the payload; a hint only: on forwarded packets the kernel may say too much."""
    gso_size: int
    """Payload of each segment but the last."""
    csum_start: int
    csum_offset: int


def read_header(packet: bytes | memoryview) -> VnetHeader | None:
    """Read the header in front of `packet`; None when there are fewer than 10 bytes."""
    if len(packet) < HEADER_SIZE:
        return None
    return VnetHeader._make(_HEADER.unpack_from(packet))


def segment(packet: bytes | memoryview) -> list[bytes]:
    """Cut a super-packet into packets that any kernel takes: no GSO, checksums complete, each with a zero header.

    A packet without GSO comes back alone, its checksum completed where NEEDS_CSUM asks for it. As the kernel does: IPv4
    ids count up from the first, FIN and PSH stand on the last segment only, CWR on the first only. A packet whose
    headers do not fit its length, or whose GSO kind is unknown, gives an empty list: drop it.
    """
    header = read_header(packet)
    if header is None:
        return []
    ip = bytearray(packet[HEADER_SIZE:])
    kind = header.gso_type & ~GSO_ECN
    if kind == GSO_NONE:
        return _complete(ip, header)
    layers = _layers(ip)
    if layers is None or not header.gso_size or layers.l4_protocol != (_UDP if kind == GSO_UDP_L4 else _TCP):
        return []
    if kind not in {GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4}:
        return []
    return [_PLAIN + part for part in _cut(ip, layers, header.gso_size)]


def checksum(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """Internet checksum of `data` (RFC 1071), `start` a sum to begin with; 0 to 65535.

    2^16 is 1 modulo 65535, so the one's complement sum of all words is one remainder of one big number.
    """
    total = int.from_bytes(data, "big") + start if len(data) % 2 == 0 else (int.from_bytes(data, "big") << 8) + start
    folded = total % 0xFFFF
    return 0 if total and not folded else 0xFFFF - folded


class _Layers(NamedTuple):
    """Where the layers of a packet stand: `l4` and `payload` are offsets from the IP header's first byte."""

    version: int
    l4_protocol: int
    l4: int
    payload: int


def _layers(ip: bytearray) -> _Layers | None:
    """Find the TCP or UDP header by the IP header's own words (hdr_len is not to be trusted)."""
    version = ip[0] >> 4 if ip else 0
    if version == 4 and len(ip) >= 20:
        protocol, l4 = ip[9], (ip[0] & 15) * 4
    elif version == 6 and len(ip) >= 40:
        protocol, l4 = ip[6], 40
    else:
        return None
    if l4 < 20 or len(ip) < l4 + (20 if protocol == _TCP else 8):
        return None
    if protocol == _TCP:
        payload = l4 + (ip[l4 + 12] >> 4) * 4
        return _Layers(version, protocol, l4, payload) if l4 + 20 <= payload < len(ip) else None
    return _Layers(version, protocol, l4, l4 + 8) if protocol == _UDP and len(ip) > l4 + 8 else None


def _cut(ip: bytearray, layers: _Layers, size: int) -> list[bytes]:
    headers, payload = ip[: layers.payload], memoryview(ip)[layers.payload :]
    starts = range(0, len(payload), size)
    first_id = int.from_bytes(headers[4:6], "big")
    first_sequence = int.from_bytes(headers[layers.l4 + 4 : layers.l4 + 8], "big")
    parts = []
    for index, start in enumerate(starts):
        part = bytearray(headers)
        part += payload[start : start + size]
        if layers.l4_protocol == _TCP:
            part[layers.l4 + 4 : layers.l4 + 8] = ((first_sequence + start) & 0xFFFFFFFF).to_bytes(4, "big")
            if index:
                part[layers.l4 + 13] &= ~_CWR & 0xFF
            if start + size < len(payload):
                part[layers.l4 + 13] &= ~_FIN_PSH & 0xFF
        else:
            part[layers.l4 + 4 : layers.l4 + 6] = (len(part) - layers.l4).to_bytes(2, "big")
        _finish_ip(part, layers, (first_id + index) & 0xFFFF)
        _finish_l4(part, layers)
        parts.append(bytes(part))
    return parts


def _finish_ip(part: bytearray, layers: _Layers, identification: int) -> None:
    """Length, id and header checksum of IPv4 (RFC 791 section 3.1), payload length of IPv6 (RFC 8200 section 3)."""
    if layers.version == 6:
        part[4:6] = (len(part) - 40).to_bytes(2, "big")
        return
    part[2:6] = len(part).to_bytes(2, "big") + identification.to_bytes(2, "big")
    part[10:12] = b"\0\0"
    part[10:12] = checksum(part[: layers.l4]).to_bytes(2, "big")


def _finish_l4(part: bytearray, layers: _Layers) -> None:
    """Checksum with pseudo-header (RFC 9293 section 3.1, RFC 768, RFC 8200 section 8.1); UDP sends 0 as 0xFFFF."""
    field = layers.l4 + (16 if layers.l4_protocol == _TCP else 6)
    part[field : field + 2] = b"\0\0"
    addresses = part[12:20] if layers.version == 4 else part[8:40]
    pseudo = int.from_bytes(addresses, "big") + layers.l4_protocol + len(part) - layers.l4
    value = checksum(part[layers.l4 :], pseudo)
    if layers.l4_protocol == _UDP:
        value = value or 0xFFFF
    part[field : field + 2] = value.to_bytes(2, "big")


def _complete(ip: bytearray, header: VnetHeader) -> list[bytes]:
    """Complete a partial checksum: the field already holds the pseudo-header's sum (skb_checksum_help)."""
    if header.flags & NEEDS_CSUM:
        start, field = header.csum_start, header.csum_start + header.csum_offset
        if field + 2 > len(ip):
            return []
        value = checksum(ip[start:])
        # An offset of 6 is UDP's; there 0 would mean "no checksum" (RFC 768).
        ip[field : field + 2] = (value or (0xFFFF if header.csum_offset == 6 else 0)).to_bytes(2, "big")
    return [_PLAIN + bytes(ip)]
