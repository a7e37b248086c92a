"""Behind the API server's TLS the carrier shows nothing: neither on the node's loopback nor in the gateway pod's."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from .capture import capture
from .lab import NODE_NET, gateway_process, pods
from .waiting import until

pytestmark = pytest.mark.cluster

COPIES = 4000


@pytest.mark.parametrize("carrier", ["spdy", "websocket"])
def test_a_marker_is_never_seen_in_the_carrier_but_beyond_the_gateway(dev, tmp_path, carrier):
    marker = secrets.token_hex(16)
    body = marker * COPIES
    session = f"marked-{carrier}"
    with dev.connected("feature-1", "--session", session, "--carrier", carrier):
        pod = Path("/proc", str(gateway_process(dev.status(session)["gateway"]["pod"])), "ns", "net")
        with (
            # The kubelet talks to containerd in clear here, and containerd to the gateway's port there.
            capture(NODE_NET, "lo", tmp_path / "node.pcap") as node,
            capture(pod, "lo", tmp_path / "pod.pcap") as loopback,
            capture(pod, "eth0", tmp_path / "beyond.pcap") as beyond,
        ):
            url = f"http://{pods('ends')[0]}:8080/request"
            words = ("--data-binary", "@-", "--header", f"Marker: {marker}", "--header", "Expect:")
            answer = dev.output("curl", "-sf", *words, url, stdin=body)
            assert marker in answer, "it comes back, so it crosses in both directions"
            beyond.wait_for(marker.encode())
            for carried in (node, loopback):
                until(lambda carried=carried: len(carried.content()) > len(body), 10, "all of the carrier is captured")
        assert beyond.content().count(marker.encode()) > COPIES / 2
        assert marker.encode() not in node.content()
        assert marker.encode() not in loopback.content()
