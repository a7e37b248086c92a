"""Pod Security admission: what the levels baseline and restricted forbid of the fields that kttun's gateway uses.

Checks and words follow `k8s.io/pod-security-admission` policy/check_*.go (1.34) and the "Pod Security Standards".
Looked at are capabilities, escalation, user, seccomp and `privileged` of containers, not of init containers; all
else is admitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kttun.sandbox.security import USUAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Spec = dict[str, Any]

LEVELS = ("privileged", "baseline", "restricted")
LABEL = "pod-security.kubernetes.io/enforce"

BASELINE_CAPABILITIES = frozenset(USUAL) - {"NET_RAW"}
RESTRICTED_CAPABILITIES = frozenset({"NET_BIND_SERVICE"})
SAFE_SECCOMP = ("RuntimeDefault", "Localhost")


def level(namespace: dict[str, Any]) -> str:
    """Give the level that a namespace enforces; a label that says nothing known is taken for the strictest."""
    found = (namespace["metadata"].get("labels") or {}).get(LABEL, LEVELS[0])
    return found if found in LEVELS else LEVELS[-1]


def violations(level_name: str, spec: Spec) -> str:
    """Say all that a pod's spec does against a level, in the order of the API server; empty when nothing."""
    whole = spec.get("securityContext") or {}
    contexts = {each["name"]: whole | (each.get("securityContext") or {}) for each in spec.get("containers") or ()}
    checks = {LEVELS[0]: (), LEVELS[1]: _baseline(contexts), LEVELS[2]: _restricted(contexts)}[level_name]
    return ", ".join(f"{title} ({told})" for title, told in checks if told)


def _baseline(contexts: dict[str, Spec]) -> Iterator[tuple[str, str]]:
    """Yield each check's title, and what it tells of the containers' securityContexts."""
    yield "non-default capabilities", _adding(contexts, BASELINE_CAPABILITIES)
    yield "privileged", _who(contexts, _is_privileged, "must not set securityContext.privileged=true")
    wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    yield "seccompProfile", _who(contexts, lambda each: _profile(each) not in {None, *SAFE_SECCOMP}, wanted, "pod or ")


def _restricted(contexts: dict[str, Spec]) -> Iterator[tuple[str, str]]:
    yield "privileged", _who(contexts, _is_privileged, "must not set securityContext.privileged=true")
    wanted = "must set securityContext.allowPrivilegeEscalation=false"
    yield (
        "allowPrivilegeEscalation != false",
        _who(contexts, lambda each: each.get("allowPrivilegeEscalation") is not False, wanted),
    )
    keeping = 'must set securityContext.capabilities.drop=["ALL"]'
    told = _who(contexts, lambda each: "ALL" not in _listed(each, "drop"), keeping)
    yield "unrestricted capabilities", "; ".join(filter(None, (told, _adding(contexts, RESTRICTED_CAPABILITIES))))
    wanted = "must set securityContext.runAsNonRoot=true"
    yield "runAsNonRoot != true", _who(contexts, lambda each: not each.get("runAsNonRoot"), wanted, "pod or ")
    yield "runAsUser=0", _who(contexts, lambda each: each.get("runAsUser") == 0, "must not set runAsUser=0")
    wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    yield "seccompProfile", _who(contexts, lambda each: _profile(each) not in SAFE_SECCOMP, wanted, "pod or ")


def _who(contexts: dict[str, Spec], is_bad: Callable[[Spec], bool], wanted: str, before: str = "") -> str:
    """Tell the containers whose securityContext is bad what is wanted; empty when there are none."""
    names = [f'"{name}"' for name, security in contexts.items() if is_bad(security)]
    return f"{before}container{'s' if len(names) > 1 else ''} {', '.join(names)} {wanted}" if names else ""


def _adding(contexts: dict[str, Spec], allowed: frozenset[str]) -> str:
    added = sorted({f'"{name}"' for each in contexts.values() for name in _listed(each, "add") - allowed})
    wanted = f"must not include {', '.join(added)} in securityContext.capabilities.add"
    return _who(contexts, lambda each: bool(_listed(each, "add") - allowed), wanted)


def _listed(security: Spec, key: str) -> set[str]:
    return set((security.get("capabilities") or {}).get(key) or ())


def _is_privileged(security: Spec) -> bool:
    return bool(security.get("privileged"))


def _profile(security: Spec) -> str | None:
    found: str | None = (security.get("seccompProfile") or {}).get("type")
    return found
