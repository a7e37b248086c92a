"""Counters against known traffic, to the byte, and against the kernel's own count of the same device."""

from __future__ import annotations

import json

import pytest

from .lab import pods
from .waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("connected")]

COUNTED = ("tx_packets", "tx_bytes", "rx_packets", "rx_bytes")
IP, ICMP, UDP = 20, 8, 8


def counters(dev):
    counted = dev.status()["counters"]
    return {key: counted[key] for key in COUNTED}


def kernels(dev):
    (link,) = json.loads(dev.output("ip", "-json", "-statistics", "link", "show", dev.status()["interface"]))
    return {f"{way}_{what}": link["stats64"][way][what] for way in ("tx", "rx") for what in ("packets", "bytes")}


def assert_grown(dev, before, packets, size):
    """Packets of `size` bytes went out, and as many came back."""
    grown = {key: value - before[key] for key, value in counters(dev).items()}
    bytes_ = packets * size
    assert grown == {"tx_packets": packets, "tx_bytes": bytes_, "rx_packets": packets, "rx_bytes": bytes_}


def drops(dev):
    return sum(dev.status()["counters"]["drops"].values())


@pytest.mark.parametrize(("number", "size"), [(1, 56), (20, 1000)])
def test_pings_are_counted_exactly(dev, number, size):
    before = counters(dev)
    dev.output("ping", "-c", str(number), "-i", "0.05", "-s", str(size), pods("web")[0])
    assert_grown(dev, before, number, IP + ICMP + size)


@pytest.mark.parametrize(("number", "size"), [(1, 1), (100, 5), (30, 1400)])
def test_datagrams_are_counted_exactly(dev, number, size):
    before = counters(dev)
    assert dev.client("datagrams", pods("ends")[0], 7007, size, number) == {"echoed": number}
    assert_grown(dev, before, number, IP + UDP + size)


def test_fragments_are_counted_as_the_packets_they_are(dev):
    # 27,008 bytes of UDP in pieces of 1,480 (RFC 791: a multiple of 8 behind a header of 20 bytes, MTU 1500).
    fragments, payload = 19, 27_000 + UDP
    before = counters(dev)
    assert dev.client("datagrams", pods("ends")[0], 7007, 27_000, 1) == {"echoed": 1}
    grown = {key: value - before[key] for key, value in counters(dev).items()}
    assert (grown["tx_packets"], grown["tx_bytes"]) == (fragments, payload + fragments * IP)
    assert grown["rx_bytes"] - grown["rx_packets"] * IP == payload


def test_the_kernel_counts_the_same_after_much_of_everything(dev):
    dev.output("curl", "-sf", "-o", "/dev/null", "http://ends:8080/bytes/30000000")
    dev.client("uploads", "http://ends:8080/sha256", 4, 5_000_000)
    until(lambda: counters(dev) == kernels(dev), 10, "our counters and the kernel's are equal")
    counted = counters(dev)
    assert counted["rx_bytes"] > 30_000_000
    assert counted["tx_bytes"] > 20_000_000


def test_nothing_was_dropped(dev):
    assert drops(dev) == 0
