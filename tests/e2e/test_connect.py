"""What a developer with nothing but the printed Role can reach through one session."""

from __future__ import annotations

import json
import re
import subprocess
from ipaddress import ip_address

import pytest

from .capture import capture
from .lab import LAB, gateway_net, leaks, pods, service_address, unused_pod_address
from .laptop import client_words

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("connected")]

UPLOADS, UPLOAD = 13, 20 * 1024 * 1024
NAMES = [
    "web",
    "web.feature-1",
    "web.feature-1.svc",
    "web.feature-1.svc.cluster.local",
    "web.feature-1.svc.cluster.local.",
]


def time_to_live(said):
    return int(re.search(r"ttl=(\d+)", said)[1])


def curl(dev, url, *words):
    return dev.output("curl", "--silent", "--show-error", "--fail", "--max-time", "10", *words, url)


def server_name(dev, host, port=80):
    return curl(dev, f"http://{host}:{port}/").strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_service_answers_by_each_form_of_its_name(dev, name):
    assert server_name(dev, name).startswith("web-")


def test_a_service_of_another_namespace_answers_by_name(dev):
    assert server_name(dev, "web.feature-2").startswith("web-")


def test_a_service_answers_by_its_address(dev):
    assert server_name(dev, service_address("web")).startswith("web-")


def test_each_pod_answers_by_its_address(dev):
    names = {server_name(dev, address, 8080) for address in pods("web")}
    assert len(names) == 2


def test_a_headless_service_resolves_to_its_pods(dev):
    assert dev.client("addresses", "web-headless") == pods("web")


def test_getent_python_and_dig_agree_on_a_name(dev):
    address = service_address("ends")
    assert dev.output("getent", "ahostsv4", "ends").split()[0] == address
    assert dev.client("addresses", "ends.feature-1.svc") == [address]
    assert dev.output("dig", "+short", "ends.feature-1.svc.cluster.local").split() == [address]
    assert dev.output("dig", "+short", "+search", "ends").split() == [address]
    assert dev.output("dig", "+short", "+tcp", "ends.feature-1.svc.cluster.local").split() == [address]


def test_a_name_that_no_service_has_does_not_exist(dev):
    assert "status: NXDOMAIN" in dev.output("dig", "absent.feature-1.svc.cluster.local")


def test_a_public_name_is_answered_by_the_lan_and_never_asked_in_the_cluster(dev, tmp_path):
    with capture(LAB.provider.laptop_net, dev.status()["interface"], tmp_path / "tun.pcap", "port", "53") as tun:
        answer = dev.output("dig", "+short", f"@{dev.router()}", "www.example.org").split()
        assert answer[0] == "example.org."
        assert dev.output("dig", "+short", "www.example.org").split() == answer
        assert dev.output("getent", "ahostsv4", "www.example.org").split()[0] == answer[1]
        assert dev.client("addresses", "www.example.org") == answer[1:]
        assert "10 mail.example.org." in dev.output("dig", "+short", "mx", "example.org")
        # The control: a name of the cluster, asked afterwards, is seen.
        dev.client("addresses", "web-headless.feature-2")
        tun.wait_for(b"\x0cweb-headless\x09feature-2")
        assert b"example" not in tun.content()


def test_no_question_and_no_packet_for_the_cluster_goes_to_the_lan(dev):
    leaks(reset=True)
    for name in NAMES[:-1]:
        dev.client("addresses", name)
    assert dev.run("ping", "-c", "1", "-W", "1", unused_pod_address()).returncode == 1
    assert "packets: 0\nquestions: 0\n" in leaks()


@pytest.mark.parametrize("size", [5, 27_000])
@pytest.mark.parametrize("where", ["pod", "Service"])
def test_datagrams_come_back(dev, size, where):
    host = pods("ends")[0] if where == "pod" else "ends"
    assert dev.client("datagrams", host, 7007, size, 20) == {"echoed": 20}


def test_a_pod_answers_ping_itself(dev):
    words = ["ping", "-c", "3", "-i", "0.2", pods("web")[0]]
    said = dev.output(*words)
    assert "3 packets transmitted, 3 received" in said
    gateway = ["nsenter", f"--net={gateway_net(dev.status()['gateway']['pod'])}"]
    there = subprocess.run([*gateway, *words], capture_output=True, text=True, check=True).stdout
    assert time_to_live(said) == time_to_live(there) - 1, "one router, the gateway pod, lies between"


def test_an_unused_pod_address_does_not_answer_ping(dev):
    done = dev.run("ping", "-c", "2", "-i", "0.2", "-W", "1", unused_pod_address())
    assert done.returncode == 1
    assert "2 packets transmitted, 0 received" in done.stdout


@pytest.mark.parametrize("port", [9, 65_000])
def test_a_closed_port_refuses(dev, port):
    assert dev.client("connect", pods("web")[0], port) == {"error": "ECONNREFUSED"}


def test_parallel_uploads_arrive_unchanged_while_kubectl_works(dev):
    sending = dev.start(*client_words("uploads", "http://ends:8080/sha256", UPLOADS, UPLOAD))
    with sending:
        seen = 0
        while sending.poll() is None:
            assert json.loads(dev.output("kubectl", "get", "pods", "-n", "feature-1", "-o", "json"))["items"]
            seen += 1
        uploads = json.loads(sending.stdout.read())
    assert uploads == [{"bytes": UPLOAD, "same": True}] * UPLOADS
    assert seen > 0


def test_kubectl_can_follow_and_forward_beside_the_session(dev):
    assert dev.output("kubectl", "version", "-o", "json")
    assert dev.output("kubectl", "logs", "-n", "feature-1", "--tail=1", dev.status()["gateway"]["pod"])


def test_an_ordinary_user_needs_no_root_to_use_the_session(dev):
    assert dev.output("id", "-un").strip() == "dev"
    assert ip_address(dev.client("addresses", "web")[0])
