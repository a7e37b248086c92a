"""The levels of Pod Security, as tables of what the API server says."""

import pytest

from kttun.sandbox.pod_security import level, violations

GOOD = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def spec(security=None, **more):
    container = {"name": "c"} | ({"securityContext": security} if security is not None else {})
    return {"containers": [container], **more}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (spec(), ""),
        (spec(GOOD), ""),
        (
            spec({"capabilities": {"add": ["NET_ADMIN", "MKNOD", "BPF"]}}),
            (
                'non-default capabilities (container "c" must not include "BPF", "NET_ADMIN" '
                "in securityContext.capabilities.add)"
            ),
        ),
        (spec({"privileged": True}), 'privileged (container "c" must not set securityContext.privileged=true)'),
        (
            spec({"seccompProfile": {"type": "Unconfined"}}),
            (
                'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to '
                '"RuntimeDefault" or "Localhost")'
            ),
        ),
    ],
)
def test_what_baseline_says(found, told):
    assert violations("baseline", found) == told


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (spec(GOOD), ""),
        (spec({**GOOD, "runAsUser": 0}), 'runAsUser=0 (container "c" must not set runAsUser=0)'),
        (
            spec({**GOOD, "capabilities": {"drop": ["ALL"], "add": ["MKNOD"]}}),
            'unrestricted capabilities (container "c" must not include "MKNOD" in securityContext.capabilities.add)',
        ),
        (
            spec({**GOOD, "runAsNonRoot": False}),
            'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
        ),
        (
            spec({**GOOD, "capabilities": {"add": ["NET_ADMIN"]}}),
            (
                'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]; '
                'container "c" must not include "NET_ADMIN" in securityContext.capabilities.add)'
            ),
        ),
        (
            spec(),
            (
                'allowPrivilegeEscalation != false (container "c" must set '
                "securityContext.allowPrivilegeEscalation=false)"
                ', unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])'
                ', runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)'
                ', seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to '
                '"RuntimeDefault" or "Localhost")'
            ),
        ),
    ],
)
def test_what_restricted_says(found, told):
    assert violations("restricted", found) == told


def test_the_pods_own_settings_hold_for_its_containers():
    pod = {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}}
    found = spec({key: GOOD[key] for key in ("allowPrivilegeEscalation", "capabilities")}, securityContext=pod)
    assert violations("restricted", found) == ""


def test_privileged_forbids_nothing():
    assert violations("privileged", spec({"privileged": True}, hostNetwork=True)) == ""


@pytest.mark.parametrize(
    ("labels", "enforced"),
    [({}, "privileged"), ({"enforce": "baseline"}, "baseline"), ({"enforce": "nonsense"}, "restricted")],
)
def test_the_level_is_the_namespaces_label(labels, enforced):
    found = {"metadata": {"labels": {f"pod-security.kubernetes.io/{key}": value for key, value in labels.items()}}}
    assert level(found) == enforced
