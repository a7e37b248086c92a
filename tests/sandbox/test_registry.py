"""What a new object meets: defaults, addresses, namespaces that end, quota, Pod Security, with the API's own words."""

from ipaddress import IPv4Network

import pytest

from kttun.sandbox.kinds import CONFIG_MAPS, DEPLOYMENTS, JOBS, NAMESPACES, PODS, QUOTAS, SERVICE_ACCOUNTS, SERVICES
from kttun.sandbox.registry import Registry
from kttun.sandbox.status import StatusError
from kttun.sandbox.store import Store

NET_ADMIN = {"securityContext": {"capabilities": {"add": ["NET_ADMIN", "MKNOD"]}}}
TOLD = 'non-default capabilities (container "c" must not include "NET_ADMIN" in securityContext.capabilities.add)'


@pytest.fixture
def registry():
    made = Registry(Store(), IPv4Network("10.96.0.0/29"))
    made.create(NAMESPACES, {"metadata": {"name": "shop"}})
    return made


def pod(name="p", **container):
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"containers": [{"name": "c", "image": "i:1", **container}]},
    }


def job(name="j", **container):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", **container}]}}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"template": template}}


def service(name="s", **spec):
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"ports": [{"port": 80}], **spec}}


def refusal(function, *words, **more):
    with pytest.raises(StatusError) as refused:
        function(*words, **more)
    return refused.value.code, refused.value.message


def enforce(registry, level):
    labels = {"pod-security.kubernetes.io/enforce": level}
    registry.store.update(NAMESPACES, "", "shop", lambda found: found["metadata"]["labels"].update(labels))


def test_a_namespace_is_active_and_has_its_account(registry):
    found = registry.store.get(NAMESPACES, "", "shop")
    assert found["status"] == {"phase": "Active"}
    assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    assert registry.store.find(SERVICE_ACCOUNTS, "shop", "default") is not None


def test_nothing_is_made_in_a_namespace_that_is_not_there(registry):
    made = {"metadata": {"name": "a", "namespace": "absent"}}
    assert refusal(registry.create, CONFIG_MAPS, made) == (404, 'namespaces "absent" not found')


def test_nothing_is_made_in_a_namespace_that_ends(registry):
    registry.store.delete(NAMESPACES, "", "shop")
    assert refusal(registry.create, JOBS, job()) == (
        403,
        'jobs.batch "j" is forbidden: unable to create new content in namespace shop because it is being terminated',
    )


def test_a_name_that_is_no_dns_name_is_invalid(registry):
    code, message = refusal(registry.create, PODS, pod("No_Name"))
    assert code == 422
    assert message.startswith('Pod "No_Name" is invalid: metadata.name: Invalid value')


def test_a_job_selects_its_pods_by_its_name_and_uid(registry):
    made = registry.create(JOBS, job()).found
    labels, uid = made["spec"]["template"]["metadata"]["labels"], made["metadata"]["uid"]
    assert labels["job-name"] == labels["batch.kubernetes.io/job-name"] == "j"
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert labels["batch.kubernetes.io/controller-uid"] == uid


def test_a_deployment_is_filled_in(registry):
    template = {"spec": {"containers": [{"name": "c", "image": "host:5000/i", "ports": [{"containerPort": 80}]}]}}
    made = {"metadata": {"name": "d", "namespace": "shop"}, "spec": {"template": template}}
    spec = registry.create(DEPLOYMENTS, made).found["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert spec["replicas"] == 1
    assert container["imagePullPolicy"] == "Always"
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


def test_a_pod_is_filled_in(registry):
    spec = registry.create(PODS, pod()).found["spec"]
    assert (spec["serviceAccountName"], spec["restartPolicy"]) == ("default", "Always")
    assert spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_a_service_gets_an_address_that_nobody_has(registry):
    addresses = {registry.create(SERVICES, service(f"s{n}")).found["spec"]["clusterIP"] for n in range(6)}
    assert addresses == {f"10.96.0.{n}" for n in range(1, 7)}
    code, message = refusal(registry.create, SERVICES, service("late"))
    assert code == 500
    assert "range is full" in message


def test_a_dry_run_takes_no_address(registry):
    for _ in range(10):
        registry.create(SERVICES, service(), dry_run=True)
    assert registry.store.list(SERVICES) == []


def test_an_address_out_of_range_is_refused_with_the_range(registry):
    assert refusal(registry.create, SERVICES, service(clusterIP="192.0.2.1"), dry_run=True) == (
        422,
        (
            'Service "s" is invalid: spec.clusterIPs: Invalid value: ["192.0.2.1"]: failed to allocate IP 192.0.2.1: '
            "the provided IP (192.0.2.1) is not in the valid range. The range of valid IPs is 10.96.0.0/29"
        ),
    )


def test_an_address_that_is_taken_is_refused(registry):
    registry.create(SERVICES, service(clusterIP="10.96.0.3"))
    code, message = refusal(registry.create, SERVICES, service("t", clusterIP="10.96.0.3"))
    assert code == 422
    assert message.endswith("failed to allocate IP 10.96.0.3: provided IP is already allocated")


@pytest.mark.parametrize("families", [["IPv6"], ["IPv4", "IPv6"]])
def test_a_family_that_the_cluster_does_not_have_is_refused(registry, families):
    code, message = refusal(registry.create, SERVICES, service(ipFamilies=families))
    assert code == 422
    assert message.endswith('Invalid value: "IPv6": not configured on this cluster')


def test_text_that_is_no_address_is_refused(registry):
    assert "must be a valid IP address" in refusal(registry.create, SERVICES, service(clusterIP="ten"))[1]


def test_a_headless_service_has_none(registry):
    assert registry.create(SERVICES, service(clusterIP="None")).found["spec"]["clusterIPs"] == ["None"]


def test_a_service_keeps_its_address_when_it_is_replaced(registry):
    made = registry.create(SERVICES, service()).found
    again = registry.replace(SERVICES, service(ports=[{"port": 81}]))
    assert again["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert again["spec"]["ports"] == [{"port": 81, "protocol": "TCP", "targetPort": 81}]
    code, message = refusal(registry.replace, SERVICES, service(clusterIP="10.96.0.200"))
    assert code == 422
    assert "may not change once set" in message


def test_status_and_the_rest_are_changed_apart(registry):
    registry.create(JOBS, job())
    made = registry.replace(JOBS, {**job(), "status": {"active": 1}}, subresource="status")
    assert made["status"] == {"active": 1}
    made["metadata"]["labels"]["x"] = "y"
    again = registry.replace(JOBS, {**made, "status": {"active": 7}})
    assert again["status"] == {"active": 1}
    assert again["metadata"]["labels"]["x"] == "y"


def test_a_pod_that_violates_the_level_is_refused(registry):
    enforce(registry, "baseline")
    assert refusal(registry.create, PODS, pod(**NET_ADMIN)) == (
        403,
        f'pods "p" is forbidden: violates PodSecurity "baseline:latest": {TOLD}',
    )


def test_a_job_that_violates_the_level_is_made_with_a_warning(registry):
    enforce(registry, "baseline")
    assert registry.create(JOBS, job(**NET_ADMIN)).warnings == (f'would violate PodSecurity "baseline:latest": {TOLD}',)


def test_an_account_that_does_not_exist_is_named(registry):
    made = pod()
    made["spec"]["serviceAccountName"] = "ghost"
    assert refusal(registry.create, PODS, made)[1] == (
        'pods "p" is forbidden: error looking up service account shop/ghost: serviceaccount "ghost" not found'
    )


@pytest.mark.parametrize(("counted", "kind", "made"), [("pods", PODS, pod()), ("count/jobs.batch", JOBS, job())])
def test_a_quota_that_is_used_up_is_named(registry, counted, kind, made):
    quota = {"metadata": {"name": "few", "namespace": "shop"}, "spec": {"hard": {counted: "1"}}}
    registry.create(QUOTAS, quota)
    registry.create(kind, made)
    made["metadata"]["name"] = "second"
    code, message = refusal(registry.create, kind, made)
    assert code == 403
    assert message.endswith(f"exceeded quota: few, requested: {counted}=1, used: {counted}=1, limited: {counted}=1")


def test_a_pod_that_has_ended_counts_no_more(registry):
    registry.create(QUOTAS, {"metadata": {"name": "q", "namespace": "shop"}, "spec": {"hard": {"pods": "1"}}})
    registry.create(PODS, pod("first"))
    registry.store.update(PODS, "shop", "first", lambda found: found["status"].update(phase="Succeeded"))
    assert registry.create(PODS, pod("second")).found["metadata"]["name"] == "second"
