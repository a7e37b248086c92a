"""The laptop that the end-to-end tests make for themselves: an ordinary machine with a LAN, and nothing that stays."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from e2e.processes import descendants
from e2e.waiting import until
from e2e.world import LAB, World

pytestmark = pytest.mark.netns

E2E = Path(__file__).resolve().parents[1] / "e2e"
PUBLIC, ROUTER = "198.51.100.10", "192.168.77.1"
SHAPE = {"NODE_NET": "172.30.0.0/24", "POD_CIDR": "10.244.0.0/16", "SERVICE_CIDR": "10.96.0.0/16"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("world"), SHAPE)
    for user in ("admin", "dev"):
        (made.run / "users" / user).touch()
    yield made
    made.end()


def run(world, *words, user="dev", code=0):
    """Run a program on the laptop; give what it says."""
    enter = ["/usr/bin/python3", LAB / "enter.py", world.run, "--as", user, "--"]
    done = subprocess.run([*enter, *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def client(world, *words):
    return json.loads(run(world, sys.executable, E2E / "client.py", *words))


def leaks(world):
    return world.execute(LAB / "leaks.sh").stdout.splitlines()


def test_dev_is_an_ordinary_user_who_may_sudo(world):
    assert run(world, "id", "-un") == "dev\n"
    assert run(world, "sudo", "id", "-un") == "root\n"
    assert run(world, "hostname") == "laptop\n"


def test_nothing_leads_out_but_to_the_lan(world):
    links = json.loads(run(world, "ip", "-json", "link"))
    assert {each["ifname"] for each in links} == {"lo", "lan"}
    assert "100% packet loss" in run(world, "ping", "-c1", "-W1", "192.0.2.1", code=1)


def test_the_lan_knows_one_public_name_by_udp_and_tcp(world):
    assert run(world, "dig", "+short", "www.example.org").split() == ["example.org.", PUBLIC]
    assert run(world, "dig", "+short", "+tcp", "example.org").split() == [PUBLIC]
    assert run(world, "dig", "+short", "mx", "example.org") == "10 mail.example.org.\n"
    assert "status: NXDOMAIN" in run(world, "dig", "absent.example.org")


def test_a_name_without_such_a_record_exists_nevertheless(world):
    said = run(world, "dig", "mx", "mail.example.org")
    assert "status: NOERROR" in said
    assert "ANSWER: 0, AUTHORITY: 1" in said


def test_a_question_and_a_packet_for_the_cluster_are_counted_as_leaks(world):
    world.execute(LAB / "leaks.sh", "--reset")
    assert leaks(world) == ["packets: 0", "questions: 0"]
    run(world, "dig", "web.feature-1.svc.cluster.local")
    run(world, "ping", "-c1", "-W1", "10.244.0.7", code=1)
    packets, questions, *asked = leaks(world)
    assert (packets, questions) == ("packets: 1", "questions: 1")
    assert "A web.feature-1.svc.cluster.local. NXDOMAIN" in asked[0]


def test_what_dev_writes_stays_on_the_laptop(world):
    run(world, "sudo", "touch", "/etc/kttun-was-here", "/run/kttun-was-here")
    assert not Path("/etc/kttun-was-here").exists()
    assert not Path("/run/kttun-was-here").exists()


def test_what_happens_on_the_machine_is_not_seen_on_the_laptop(world):
    file = Path("/etc/kttun-test-of-the-laptop")
    file.touch()
    try:
        run(world, "ls", file, code=2)
    finally:
        file.unlink()


def test_the_end_of_a_world_leaves_no_process(tmp_path):
    world = World(tmp_path, SHAPE)
    processes = descendants(world._process.pid)
    assert "sleep" in {each.program for each in processes}, "the control: the laptop's are among them"
    world.end()
    until(lambda: not any(each.alive for each in processes), 10, "all processes have ended")


def test_uploads_arrive_unchanged(world):
    assert (
        client(world, "uploads", f"http://{PUBLIC}:8080/sha256", "4", "3000000")
        == [{"bytes": 3_000_000, "same": True}] * 4
    )


@pytest.mark.parametrize("size", ["0", "5", "27000"])
def test_datagrams_come_back(world, size):
    assert client(world, "datagrams", ROUTER, "7007", size, "5") == {"echoed": 5}


def test_a_request_is_described_as_it_arrived(world):
    url = f"http://{PUBLIC}:8080/request?a=b"
    said = json.loads(run(world, "curl", "-sf", "-H", "marker: x", "--data-binary", "body", url))
    assert said["headers"]["Marker"] == ["x"]
    assert (said["method"], said["path"], said["peer"]) == ("POST", "/request", "192.168.77.2")


def test_the_host_says_its_name_and_gives_as_many_bytes_as_asked(world):
    assert run(world, "curl", "-sf", f"http://{PUBLIC}:8080/").strip()
    assert len(run(world, "curl", "-sf", f"http://{PUBLIC}:8080/bytes/100000")) == 100_000
    run(world, "curl", "-sf", f"http://{PUBLIC}:8080/absent", code=22)


def test_its_manners_are_those_that_the_conformance_script_expects(world):
    places = [f"--{place}={PUBLIC}" for place in ("target", "service", "dns", "unused")]
    only = ["--only", "half", "reset", "window", "urgent", "multipath", "closed", "hundred"]
    seen = json.loads(run(world, sys.executable, E2E / "conformance.py", *places, *only))
    assert seen == {
        "tcp to a closed port": "ECONNREFUSED, at once",
        "tcp half closed by us still brings the answer": 100_000,
        "tcp half closed by the pod still takes our data": ["bye\n", "all of it"],
        "tcp reset by the pod while we read": "ECONNRESET, at once",
        "tcp reset by the pod as its first act": "ECONNRESET, at once",
        "tcp window that we close opens again": "flows again",
        "tcp window that the pod closes stops us": "stopped",
        "tcp urgent data stands apart": {"plain": "abcdef", "urgent": "!"},
        "multipath tcp": "agreed",
        "tcp two hundred connections at once": 200,
        "udp to a closed port": "ECONNREFUSED, at once",
    }
