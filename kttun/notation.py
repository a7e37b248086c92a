"""How values are written, on the command line, in the environment and in configuration files alike.

Each function takes the text and gives the value, or raises `argparse.ArgumentTypeError` with one line that says what
was expected; that is the one exception whose text argparse shows as it is.
"""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network

_MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4-mapped addresses (RFC 4291 section 2.5.5.2): programs write them, the kernel sends IPv4."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_S = 366 * 86400.0
"""A longer duration is a slip of the finger, and clocks of the system overflow at some length."""
_SESSION = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DEVICE = re.compile(r"[A-Za-z0-9_.-]{1,15}")


def networks(text: str) -> list[Network]:
    """Read CIDRs and addresses, separated by commas."""
    try:
        return [_network(part.strip()) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def ipv4_network(text: str) -> IPv4Network:
    """Read one IPv4 CIDR."""
    match networks(text):
        case [IPv4Network() as network]:
            return network
        case _:
            raise ArgumentTypeError(f"'{text}' is not one IPv4 CIDR such as 10.96.0.0/16")


def _network(text: str) -> Network:
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        meant = None
    if meant is None or "%" in text:  # ipaddress takes a zone (fe80::%eth0/64), which no route has
        raise ValueError(f"'{text}' is not a CIDR such as 10.96.0.0/12")
    if isinstance(meant, IPv6Network) and meant.subnet_of(_MAPPED):
        plain = IPv4Network((int(meant.network_address) & 0xFFFF_FFFF, meant.prefixlen - _MAPPED.prefixlen))
        raise ValueError(f"'{text}' is IPv4 written as IPv6, which no packet has; {plain} is probably meant")
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"'{text}' has bits set behind its prefix; {meant} is probably meant") from None


def seconds(text: str) -> float:
    """Read a duration; a bare number is seconds."""
    match = _DURATION.fullmatch(text)
    if not match or not float(match[1]):
        raise ArgumentTypeError(f"'{text}' is not a duration such as 90s, 10m or 24h")
    length = float(match[1]) * _SECONDS[match[2] or "s"]
    if length > _LONGEST_S:
        raise ArgumentTypeError(f"'{text}' is longer than a year")
    return length


def repetitions(text: str) -> int:
    """Read how often something is done: a whole number from 1."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ArgumentTypeError(f"'{text}' is not a whole number from 1")
    return int(text)


def label(text: str) -> tuple[str, str]:
    """Read KEY=VALUE; the value may be empty, as Kubernetes labels may."""
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value


def session_name(text: str) -> str:
    """Read the name of a session, which becomes a file's name."""
    if not _SESSION.fullmatch(text):
        raise ArgumentTypeError(f"'{text}' is not a name of lower-case letters, digits and dashes")
    return text


def device_name(text: str) -> str:
    """Read the name of a network device: shorter than IFNAMSIZ (16), no slash, no white space.

    The kernel's rule is in net/core/dev.c, dev_valid_name.
    """
    if not _DEVICE.fullmatch(text) or text in {".", ".."}:
        raise ArgumentTypeError(f"'{text}' is not an interface name of at most 15 characters")
    return text
