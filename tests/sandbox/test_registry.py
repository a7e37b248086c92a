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


def test_a_job_names_its_pods_after_itself(registry):
    made = registry.create(JOBS, job())
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels["job-name"] == labels["batch.kubernetes.io/job-name"] == "j"
    assert made["spec"]["backoffLimit"] == 6


def test_a_deployment_is_filled_in(registry):
    template = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = {"metadata": {"name": "d", "namespace": "shop"}, "spec": {"template": template}}
    assert registry.create(DEPLOYMENTS, made)["spec"]["replicas"] == 1


def test_a_pod_is_filled_in(registry):
    spec = registry.create(PODS, pod())["spec"]
    assert (spec["serviceAccountName"], spec["restartPolicy"]) == ("default", "Always")


def test_a_service_gets_an_address_that_nobody_has(registry):
    addresses = {registry.create(SERVICES, service(f"s{n}"))["spec"]["clusterIP"] for n in range(6)}
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
    assert registry.create(SERVICES, service(clusterIP="None"))["spec"]["clusterIPs"] == ["None"]


def test_a_service_keeps_its_address(registry):
    made = registry.create(SERVICES, service())
    made["spec"]["ports"] = [{"port": 81}]
    again = registry.replace(SERVICES, made)
    assert again["spec"]["ports"] == [{"port": 81, "protocol": "TCP", "targetPort": 81}]
    made["spec"]["clusterIP"] = "10.96.0.200"
    code, message = refusal(registry.replace, SERVICES, made)
    assert code == 422
    assert "may not change once set" in message


def test_the_status_is_not_changed_with_the_rest(registry):
    made = registry.create(JOBS, job())
    registry.store.update(JOBS, "shop", "j", lambda found: found.update(status={"active": 1}))
    del made["metadata"]["resourceVersion"]
    made["metadata"]["labels"] = {"x": "y"}
    again = registry.replace(JOBS, {**made, "status": {"active": 7}})
    assert (again["status"], again["metadata"]["labels"]) == ({"active": 1}, {"x": "y"})


def test_a_quota_of_pods_that_is_used_up_is_named(registry):
    quota = {"metadata": {"name": "few", "namespace": "shop"}, "spec": {"hard": {"pods": "1"}}}
    registry.create(QUOTAS, quota)
    registry.create(PODS, pod("first"))
    code, message = refusal(registry.create, PODS, pod("second"))
    assert code == 403
    assert message.endswith("exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1")


def test_a_pod_that_violates_the_level_is_refused(registry):
    enforce(registry, "baseline")
    assert refusal(registry.create, PODS, pod(**NET_ADMIN)) == (
        403,
        f'pods "p" is forbidden: violates PodSecurity "baseline:latest": {TOLD}',
    )


def test_an_account_that_does_not_exist_is_named(registry):
    made = pod()
    made["spec"]["serviceAccountName"] = "ghost"
    assert refusal(registry.create, PODS, made)[1] == (
        'pods "p" is forbidden: error looking up service account shop/ghost: serviceaccount "ghost" not found'
    )


def test_a_pod_that_has_ended_counts_no_more(registry):
    registry.create(QUOTAS, {"metadata": {"name": "q", "namespace": "shop"}, "spec": {"hard": {"pods": "1"}}})
    registry.create(PODS, pod("first"))
    registry.store.update(PODS, "shop", "first", lambda found: found["status"].update(phase="Succeeded"))
    assert registry.create(PODS, pod("second"))["metadata"]["name"] == "second"
