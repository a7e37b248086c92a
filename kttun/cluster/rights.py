"""Which rights each feature needs, as data: checked before anything is made, printed by `kttun rbac`.

The list is the least that the code uses. Rights marked optional make kttun better (exact discovery, clear reasons) but
it works without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kttun.cluster.errors import mapped
from kttun.cluster.rest import Rest
from kttun.errors import EnvironmentFaultError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kttun.cluster.login import Login


@dataclass(frozen=True, slots=True)
class Rule:
    """Verbs on one resource of the namespace; `resource` may name a subresource (`pods/log`)."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    optional: bool = False


FEATURES: dict[str, tuple[Rule, ...]] = {
    "connect": (
        Rule("batch", "jobs", ("create", "patch", "delete"), "the gateway is a Job; patch sets its deadline"),
        Rule("", "pods", ("get", "list", "watch"), "the gateway's pod, and the addresses of the namespace's pods"),
        Rule("", "pods/log", ("get",), "the gateway's public key is the first line of its log"),
        Rule("", "pods/portforward", ("get", "create"), "the tunnel's lanes: SPDY needs create, WebSocket get"),
        Rule("", "events", ("list", "watch"), "the reason when the gateway cannot start", optional=True),
        Rule("", "services", ("create",), "dry run only: learns the Service range, creates nothing", optional=True),
        Rule("", "services", ("list",), "addresses of Services where the range cannot be learned", optional=True),
    ),
}


def rules_for(features: Iterable[str]) -> tuple[Rule, ...]:
    """Give the rules of the named features; raises `UsageError` for a name that is none."""
    found: list[Rule] = []
    for feature in features:
        if feature not in FEATURES:
            raise UsageError(f"unknown feature '{feature}'", f"known: {', '.join(FEATURES)}")
        found += FEATURES[feature]
    return tuple(dict.fromkeys(found))


def check_rights(login: Login, features: Iterable[str] = ("connect",)) -> tuple[str, ...]:
    """Ask the API server for each right (SelfSubjectAccessReview, which everybody may create).

    Gives the optional rights that are missing, as texts. Raises `EnvironmentFaultError` that names every needed verb
    that is missing.
    """
    missing = [(rule, verb) for rule in rules_for(features) for verb in rule.verbs if not _allowed(login, rule, verb)]
    needed = [_text(rule, verb) for rule, verb in missing if not rule.optional]
    if needed:
        raise EnvironmentFaultError(
            f"missing rights in namespace {login.namespace}: {', '.join(needed)}",
            "an administrator of the namespace can apply what this prints: kttun rbac --user NAME",
        )
    return tuple(_text(rule, verb) for rule, verb in missing)


def _text(rule: Rule, verb: str) -> str:
    return f"{verb} {rule.resource}"


def _allowed(login: Login, rule: Rule, verb: str) -> bool:
    resource, _, subresource = rule.resource.partition("/")
    attributes = {
        "namespace": login.namespace,
        "group": rule.group,
        "resource": resource,
        "subresource": subresource,
        "verb": verb,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
    }
    with mapped("check rights", verb="create", resource="selfsubjectaccessreviews"):
        answer = Rest(login.api).create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool((answer.get("status") or {}).get("allowed"))
