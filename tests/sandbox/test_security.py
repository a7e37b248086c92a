"""Rights of containers, from securityContext to bits."""

import pytest

from kttun.sandbox.security import CAPABILITIES, USUAL, rights, sysctls


def names(bits):
    return {name for number, name in enumerate(CAPABILITIES) if bits >> number & 1}


def test_without_a_word_a_container_is_root_with_what_runtimes_leave_it():
    found = rights({}, {})
    assert (found.user, found.group, found.no_new_privs) == (0, 0, False)
    assert names(found.capabilities) == set(USUAL)


def test_the_gateway_gets_two_capabilities_and_no_way_to_more():
    context = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "CAP_MKNOD"]},
    }
    found = rights({"securityContext": {"runAsUser": 7}}, {"securityContext": {**context, "runAsUser": 0}})
    assert (found.user, found.no_new_privs) == (0, True)
    assert names(found.capabilities) == {"NET_ADMIN", "MKNOD"}


def test_a_privileged_container_has_all():
    assert names(rights({}, {"securityContext": {"privileged": True}}).capabilities) == set(CAPABILITIES)


def test_what_the_pod_says_holds_for_its_containers():
    found = rights({"securityContext": {"runAsUser": 1000, "runAsGroup": 3}}, {})
    assert (found.user, found.group) == (1000, 3)


def test_only_safe_sysctls_are_taken():
    safe = {"name": "net.ipv4.ping_group_range", "value": "0 1"}
    assert sysctls({"securityContext": {"sysctls": [safe]}}) == {"net.ipv4.ping_group_range": "0 1"}
    with pytest.raises(ValueError, match=r'forbidden sysctl: "net\.ipv4\.ip_forward" not allowlisted'):
        sysctls({"securityContext": {"sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}]}})
