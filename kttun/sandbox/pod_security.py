"""Pod Security admission: what the levels baseline and restricted forbid of the fields that kttun's gateway uses.

Checks and words follow `k8s.io/pod-security-admission` policy/check_*.go (1.34) and the "Pod Security Standards".
Looked at are capabilities, escalation, user, seccomp and `privileged` of containers, not of init containers; all
else is admitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kttun.sandbox.security import USUAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Spec = dict[str, Any]

LEVELS = ("privileged", "baseline", "restricted")
LABEL = "pod-security.kubernetes.io/enforce"

DEFAULT_CAPABILITIES = frozenset(USUAL) - {"NET_RAW"}
SAFE_SECCOMP = ("RuntimeDefault", "Localhost")


def level(namespace: dict[str, Any]) -> str:
    """Give the level that a namespace enforces; a label that says nothing known is taken for the strictest."""
    found = (namespace["metadata"].get("labels") or {}).get(LABEL, LEVELS[0])
    return found if found in LEVELS else LEVELS[-1]


def violations(level_name: str, spec: Spec) -> str:
    """Say all that a pod's spec does against a level, in the order of the API server; empty when nothing."""
    if level_name == LEVELS[0]:
        return ""
    strict = level_name == LEVELS[2]
    told = [] if strict else [_adding(spec, DEFAULT_CAPABILITIES, "non-default capabilities")]
    told.append(_privileged(spec))
    told += [_escalation(spec), _capabilities(spec), _non_root(spec), _user(spec)] if strict else []
    return ", ".join(filter(None, [*told, _seccomp(spec, strict=strict)]))


def _security(part: Spec) -> Spec:
    found: Spec = part.get("securityContext") or {}
    return found


def _bad(spec: Spec, is_bad: Callable[[Spec], bool]) -> str:
    """Name the containers whose securityContext is bad; empty when there are none."""
    names = [each["name"] for each in spec.get("containers") or () if is_bad(_security(each))]
    return f"container{'s' if len(names) > 1 else ''} {_quoted(names)}" if names else ""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _added(security: Spec) -> set[str]:
    return set((security.get("capabilities") or {}).get("add") or ())


def _adding(spec: Spec, allowed: frozenset[str], title: str) -> str:
    who = _bad(spec, lambda security: bool(_added(security) - allowed))
    added = sorted({one for each in spec.get("containers") or () for one in _added(_security(each)) - allowed})
    return f"{title} ({who} must not include {_quoted(added)} in securityContext.capabilities.add)" if who else ""


def _capabilities(spec: Spec) -> str:
    title = "unrestricted capabilities"
    who = _bad(spec, lambda security: "ALL" not in ((security.get("capabilities") or {}).get("drop") or ()))
    keeping = f'{title} ({who} must set securityContext.capabilities.drop=["ALL"])' if who else ""
    adding = _adding(spec, frozenset({"NET_BIND_SERVICE"}), title)
    return "; ".join(filter(None, (keeping, adding))).replace(f"); {title} (", "; ")


def _privileged(spec: Spec) -> str:
    who = _bad(spec, lambda security: bool(security.get("privileged")))
    return f"privileged ({who} must not set securityContext.privileged=true)" if who else ""


def _escalation(spec: Spec) -> str:
    who = _bad(spec, lambda security: security.get("allowPrivilegeEscalation") is not False)
    told = "must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({who} {told})" if who else ""


def _non_root(spec: Spec) -> str:
    whole = _security(spec).get("runAsNonRoot")
    who = _bad(spec, lambda security: not security.get("runAsNonRoot", whole))
    return f"runAsNonRoot != true (pod or {who} must set securityContext.runAsNonRoot=true)" if who else ""


def _user(spec: Spec) -> str:
    whole = ["pod"] if _security(spec).get("runAsUser") == 0 else []
    who = " and ".join(filter(None, [*whole, _bad(spec, lambda security: security.get("runAsUser") == 0)]))
    return f"runAsUser=0 ({who} must not set runAsUser=0)" if who else ""


def _seccomp(spec: Spec, *, strict: bool) -> str:
    """Check the profile that holds for each container; baseline lets it be left out."""
    usual = "" if strict else SAFE_SECCOMP[0]
    whole = _profile(_security(spec)) or usual
    who = _bad(spec, lambda security: (_profile(security) or whole) not in SAFE_SECCOMP)
    wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return f"seccompProfile (pod or {who} {wanted})" if who else ""


def _profile(security: Spec) -> str:
    return str((security.get("seccompProfile") or {}).get("type") or "")
