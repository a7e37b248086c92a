"""kubectl beside kttun, from the laptop: what a curious user does first works."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from .lab import READY_S, get, pods, wait_until_available
from .waiting import until

pytestmark = pytest.mark.cluster


def names(app):
    """Give the names of a workload's pods that are not about to go."""
    return sorted(
        each["metadata"]["name"]
        for each in get(["pods"], "feature-1", f"app={app}")
        if "deletionTimestamp" not in each["metadata"]
    )


@contextmanager
def forwarded(laptop, target, ports):
    """Have `kubectl port-forward` run; give the laptop's port."""
    with laptop.start("kubectl", "port-forward", "-n", "feature-1", target, ports) as process:
        try:
            said = process.stdout.readline()
            assert said.startswith("Forwarding from 127.0.0.1:"), said
            yield int(said.split("127.0.0.1:")[1].split()[0])
        finally:
            process.terminate()
            process.wait(10)


def test_get_shows_each_pod_to_people_and_to_scripts(dev):
    shown = dev.output("kubectl", "get", "pods", "-n", "feature-1", "-l", "app=web").splitlines()
    assert shown[0].split()[0] == "NAME"
    assert sorted(line.split()[0] for line in shown[1:]) == names("web")
    scripted = dev.output("kubectl", "get", "pods", "-n", "feature-1", "-l", "app=web", "-o", "name").split()
    assert sorted(scripted) == [f"pod/{name}" for name in names("web")]


def test_get_of_several_kinds_shows_the_workload(admin):
    shown = admin.output("kubectl", "get", "deployments,services,endpoints", "-n", "feature-1", "-o", "name").split()
    assert {"deployment.apps/web", "service/web", "service/ends", "endpoints/web"} <= set(shown)


def test_a_thing_that_is_not_there_is_an_error_that_names_it(dev):
    done = dev.run("kubectl", "get", "pod", "absent", "-n", "feature-1")
    assert (done.returncode, done.stderr) == (1, 'Error from server (NotFound): pods "absent" not found\n')


def test_what_one_may_not_see_is_refused_with_the_reason(dev):
    done = dev.run("kubectl", "get", "pods", "-n", "feature-2")
    assert done.returncode == 1
    assert 'User "system:serviceaccount:feature-1:dev" cannot list resource "pods"' in done.stderr


def test_logs_begin_with_the_gateways_key_and_can_be_followed(dev, connected):
    words = ("kubectl", "logs", "-n", "feature-1", dev.status()["gateway"]["pod"])
    first, *more = dev.output(*words).splitlines()
    assert more
    assert dev.output(*words, "--tail", "1").splitlines() == more[-1:]
    with dev.start(*words, "--follow") as following:
        assert following.stdout.readline() == f"{first}\n"
        following.terminate()


def test_port_forward_to_a_pod_carries_a_large_answer(dev):
    with forwarded(dev, f"pod/{names('ends')[0]}", ":8080") as port:
        assert dev.output("curl", "-sf", f"http://127.0.0.1:{port}/").startswith("ends-")
        assert len(dev.output("curl", "-sf", f"http://127.0.0.1:{port}/bytes/3000000")) == 3_000_000


def test_port_forward_to_a_service_finds_its_pod_and_its_port(admin):
    with forwarded(admin, "service/web", ":80") as port:
        assert admin.output("curl", "-sf", f"http://127.0.0.1:{port}/").startswith("web-")


def test_port_forward_to_a_closed_port_ends_that_connection(dev):
    with forwarded(dev, f"pod/{names('ends')[0]}", ":9") as port:
        assert dev.run("curl", "-s", "-m10", f"http://127.0.0.1:{port}/").returncode in {52, 56}  # empty, or reset


def test_a_deleted_pod_is_replaced_by_its_deployment(admin):
    before = names("web")
    admin.output("kubectl", "delete", "pod", "-n", "feature-1", before[0])
    assert before[0] not in names("web")
    until(lambda: len(pods("web")) == len(before), READY_S, "as many pods as before")
    wait_until_available("feature-1")
