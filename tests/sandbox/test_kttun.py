"""kttun's own cluster room against the practice cluster: login, rights, networks, and the gateway's Job."""

import base64
import contextlib
import threading

import pytest
import yaml

from kttun.cluster.discovery import discover
from kttun.cluster.gateway import GatewayJob
from kttun.cluster.rbac import role_yaml
from kttun.cluster.rights import FEATURES, check_rights
from kttun.config import GatewayChoice, RouteChoice
from kttun.errors import EnvironmentFaultError
from kttun.rendezvous import KEY_LINE, GatewaySettings
from kttun.sandbox.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    EVENTS,
    JOBS,
    PODS,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    SERVICE_CIDRS,
)
from kttun.sandbox.store import timestamp

USER = "system:serviceaccount:shop:dev"
SETTINGS = GatewaySettings(bytes(32), bytes(16), 7000, (), (), 30)
CHOICE = GatewayChoice(image="kttun.test/gateway:1", timeout_s=20)


@pytest.fixture
def dev(shop):
    """Give the login of a user who has what `kttun rbac` prints, and what everybody has."""
    review = {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews"], "verbs": ["create"]}
    shop.create(CLUSTER_ROLES, {"metadata": {"name": "system:basic-user"}, "rules": [review]})
    ref = {"kind": "ClusterRole", "name": "system:basic-user"}
    everybody = {"kind": "Group", "name": "system:authenticated"}
    binding = {"metadata": {"name": "system:basic-user"}, "roleRef": ref, "subjects": [everybody]}
    shop.create(CLUSTER_ROLE_BINDINGS, binding)
    account = shop.create(SERVICE_ACCOUNTS, {"metadata": {"name": "dev", "namespace": "shop"}})
    documents = yaml.safe_load_all(role_yaml(["connect"], namespace="shop", user=USER))
    for kind, document in zip((ROLES, ROLE_BINDINGS), documents, strict=True):
        shop.create(kind, document)
    return shop.login("dev", user={"token": shop.token(account)})


def without(shop, rule, verb):
    """Take one verb of the printed Role away."""

    def change(found):
        for one in found["rules"]:
            if one["resources"] == [rule.resource] and verb in one["verbs"]:
                one["verbs"].remove(verb)

    shop.call(shop.store.update, ROLES, "shop", "kttun", change)


def test_the_printed_role_is_enough(dev):
    assert check_rights(dev) == ()


@pytest.mark.parametrize(("rule", "verb"), [(rule, verb) for rule in FEATURES["connect"] for verb in rule.verbs])
def test_each_verb_that_is_taken_away_is_named(shop, dev, rule, verb):
    without(shop, rule, verb)
    named = f"{verb} {rule.resource}"
    if rule.optional:
        assert check_rights(dev) == (named,)
    else:
        with pytest.raises(EnvironmentFaultError) as missing:
            check_rights(dev)
        assert missing.value.message == f"missing rights in namespace shop: {named}"


def test_the_range_of_services_is_learned_by_a_dry_run(shop, dev):
    found = discover(dev, RouteChoice())
    assert [(str(route.cidr), route.source) for route in found.services] == [("10.96.0.0/16", "answer to a dry run")]
    assert any("may not list nodes" in note for note in found.notes)


def test_an_administrator_reads_the_range(shop):
    shop.create(SERVICE_CIDRS, {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16"]}})
    found = discover(shop.login(), RouteChoice())
    assert [(str(route.cidr), route.source) for route in found.services] == [("10.96.0.0/16", "ServiceCIDR kubernetes")]


def play(shop, job, *, key=None, event=None):
    """Play the controller and the kubelet for one Job."""
    made = shop.call(shop.store.get, JOBS, "shop", job)
    if event:
        about = {"kind": "Job", "name": job, "namespace": "shop", "uid": made["metadata"]["uid"]}
        body = {"involvedObject": about, "type": "Warning", "reason": "FailedCreate", "message": event}
        times = {"firstTimestamp": timestamp(), "lastTimestamp": timestamp()}
        shop.create(EVENTS, {"metadata": {"name": "e", "namespace": "shop"}, **body, **times})
        return
    template = made["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": made["metadata"]["uid"], "controller": True}
    meta = {"name": f"{job}-x", "namespace": "shop", "ownerReferences": [owner]} | template["metadata"]
    shop.create(PODS, {"metadata": meta, "spec": template["spec"] | {"nodeName": "n1"}})
    shop.runtime.printed[f"{job}-x", "gateway"] = [f"{KEY_LINE}{base64.b64encode(key).decode()}\n".encode()]
    status = {"phase": "Running", "containerStatuses": [{"name": "gateway", "state": {"running": {}}}]}
    shop.call(shop.store.update, PODS, "shop", f"{job}-x", lambda found: found.update(status=status))


@contextlib.contextmanager
def gateway(login):
    job = GatewayJob(login, "s", CHOICE, SETTINGS)
    job.create()
    yield job
    job.delete()


def test_a_gateway_is_made_watched_extended_and_deleted(shop, dev):
    with gateway(dev) as job:
        player = threading.Thread(target=play, args=(shop, job.name), kwargs={"key": b"k" * 32})
        player.start()
        found = job.wait(lambda _: None)
        player.join()
        assert (found.pod, found.node, found.public_key) == (f"{job.name}-x", "n1", b"k" * 32)
        job.extend()
        deadline = shop.call(shop.store.get, JOBS, "shop", job.name)["spec"]["activeDeadlineSeconds"]
        assert deadline == round(CHOICE.max_age_s)
    assert shop.call(shop.store.list, JOBS, "shop") == []


def test_a_refusal_that_an_event_tells_ends_the_waiting(shop, dev):
    with gateway(dev) as job:
        play(shop, job.name, event='Error creating: pods "x" is forbidden: violates PodSecurity "baseline:latest": so')
        with pytest.raises(EnvironmentFaultError) as refused:
            job.wait(lambda _: None)
        assert 'violates PodSecurity "baseline:latest"' in refused.value.message
