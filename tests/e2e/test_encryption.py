"""Behind the API server's TLS the carrier shows nothing, wherever it crosses node and pod in clear."""

from __future__ import annotations

import secrets
from contextlib import ExitStack

import pytest

from .capture import capture
from .lab import LAB, gateway_net, pods
from .waiting import until

pytestmark = pytest.mark.cluster

COPIES = 4000


@pytest.mark.parametrize("carrier", ["spdy", "websocket"])
def test_a_marker_is_never_seen_in_the_carrier_but_beyond_the_gateway(dev, tmp_path, carrier):
    marker = secrets.token_hex(16)
    body = marker * COPIES
    session = f"marked-{carrier}"
    with dev.connected("feature-1", "--session", session, "--carrier", carrier):
        pod = gateway_net(dev.status(session)["gateway"]["pod"])
        with ExitStack() as captures:
            carriers = [
                captures.enter_context(capture(*place, tmp_path / f"{number}.pcap"))
                for number, place in enumerate(LAB.provider.carriers(pod))
            ]
            beyond = captures.enter_context(capture(pod, "eth0", tmp_path / "beyond.pcap"))
            url = f"http://{pods('ends')[0]}:8080/request"
            words = ("--data-binary", "@-", "--header", f"Marker: {marker}", "--header", "Expect:")
            answer = dev.output("curl", "-sf", *words, url, stdin=body)
            assert marker in answer, "it comes back, so it crosses in both directions"
            beyond.wait_for(marker.encode())
            for carried in carriers:
                until(lambda carried=carried: len(carried.content()) > len(body), 10, "all of the carrier is captured")
        assert beyond.content().count(marker.encode()) > COPIES / 2
        assert carriers
        assert not any(marker.encode() in carried.content() for carried in carriers)
