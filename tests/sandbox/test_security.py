"""Rights of containers, from securityContext to bits."""

from kttun.sandbox.security import CAPABILITIES, USUAL, rights


def names(bits):
    return {name for number, name in enumerate(CAPABILITIES) if bits >> number & 1}


def test_without_a_word_a_container_is_root_with_what_runtimes_leave_it():
    found = rights({}, {})
    assert (found.user, found.no_new_privs) == (0, False)
    assert names(found.capabilities) == set(USUAL)


def test_the_gateway_gets_two_capabilities_and_no_way_to_more():
    context = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "CAP_MKNOD"]},
    }
    found = rights({"securityContext": {"runAsUser": 7}}, {"securityContext": {**context, "runAsUser": 0}})
    assert (found.user, found.no_new_privs) == (0, True)
    assert names(found.capabilities) == {"NET_ADMIN", "MKNOD"}


def test_what_the_pod_says_holds_for_its_containers():
    found = rights({"securityContext": {"runAsUser": 1000}}, {})
    assert found.user == 1000
