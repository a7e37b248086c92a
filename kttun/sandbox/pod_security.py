"""Pod Security admission: what the levels baseline and restricted forbid of the fields that ordinary pods use.

Checks and words follow `k8s.io/pod-security-admission` policy/check_*.go (1.34) and the "Pod Security Standards". Left
out, so admitted: AppArmor, SELinux, procMount, probes' hosts, Windows, and volumes other than hostPath.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Spec = dict[str, Any]
    Check = Callable[[Spec], str]

LEVELS = ("privileged", "baseline", "restricted")
LABEL = "pod-security.kubernetes.io/"
"""What the namespace's labels begin with; `enforce` and `warn` follow."""

DEFAULT_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    }
)
SAFE_SECCOMP = frozenset({"RuntimeDefault", "Localhost"})


def level(namespace: dict[str, Any], mode: str) -> str:
    """Give the namespace's level for `enforce` or `warn`; who sets only the first is warned by it too."""
    labels = namespace["metadata"].get("labels") or {}
    enforced = labels.get(f"{LABEL}enforce", LEVELS[0])
    found = enforced if mode == "enforce" else labels.get(f"{LABEL}warn", enforced)
    return found if found in LEVELS else LEVELS[-1]


def violations(level_name: str, spec: Spec) -> str:
    """Say all that a pod's spec does against a level, in the order of the API server; empty when nothing."""
    checks: tuple[Check, ...] = ()
    if level_name != LEVELS[0]:
        checks += (_capabilities, _host_namespaces, _host_paths, _host_ports, _privileged, _seccomp, _sysctls)
    if level_name == LEVELS[2]:
        # The restricted form of a check takes the place of the baseline one.
        checks = tuple(check for check in checks if check not in {_capabilities, _host_paths, _seccomp})
        checks += (_escalation, _strict_capabilities, _volumes, _non_root, _root_user, _strict_seccomp)
    return ", ".join(filter(None, (check(spec) for check in checks)))


def _containers(spec: Spec) -> list[Spec]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _security(part: Spec) -> Spec:
    found: Spec = part.get("securityContext") or {}
    return found


def _bad(spec: Spec, is_bad: Callable[[Spec], bool]) -> list[str]:
    """Name the containers whose securityContext is bad."""
    return [container["name"] for container in _containers(spec) if is_bad(_security(container))]


def _these(names: list[str], word: str = "container") -> str:
    return f"{word}{'s' if len(names) > 1 else ''} {_quoted(names)}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _added(security: Spec) -> set[str]:
    return set((security.get("capabilities") or {}).get("add") or ())


def _adding(spec: Spec, allowed: frozenset[str]) -> str:
    names = _bad(spec, lambda security: bool(_added(security) - allowed))
    if not names:
        return ""
    added = sorted({one for container in _containers(spec) for one in _added(_security(container)) - allowed})
    return f"{_these(names)} must not include {_quoted(added)} in securityContext.capabilities.add"


def _capabilities(spec: Spec) -> str:
    told = _adding(spec, DEFAULT_CAPABILITIES)
    return f"non-default capabilities ({told})" if told else ""


def _strict_capabilities(spec: Spec) -> str:
    keeping = _bad(spec, lambda security: "ALL" not in ((security.get("capabilities") or {}).get("drop") or ()))
    told = [f'{_these(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    told += filter(None, [_adding(spec, frozenset({"NET_BIND_SERVICE"}))])
    return f"unrestricted capabilities ({'; '.join(told)})" if told else ""


def _host_namespaces(spec: Spec) -> str:
    used = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return f"host namespaces ({', '.join(used)})" if used else ""


def _host_path_names(spec: Spec) -> list[str]:
    return [volume["name"] for volume in spec.get("volumes") or () if "hostPath" in volume]


def _host_paths(spec: Spec) -> str:
    names = _host_path_names(spec)
    return f"hostPath volumes ({_these(names, 'volume')})" if names else ""


def _volumes(spec: Spec) -> str:
    names = _host_path_names(spec)
    uses = "use" if len(names) > 1 else "uses"
    return (
        f'restricted volume types ({_these(names, "volume")} {uses} restricted volume type "hostPath")' if names else ""
    )


def _host_ports(spec: Spec) -> str:
    used = {
        container["name"]: [str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")]
        for container in _containers(spec)
    }
    names, ports = (
        [name for name, some in used.items() if some],
        sorted({one for some in used.values() for one in some}),
    )
    uses, word = ("use" if len(names) > 1 else "uses"), ("hostPorts" if len(ports) > 1 else "hostPort")
    return f"hostPort ({_these(names)} {uses} {word} {', '.join(ports)})" if names else ""


def _privileged(spec: Spec) -> str:
    names = _bad(spec, lambda security: bool(security.get("privileged")))
    return f"privileged ({_these(names)} must not set securityContext.privileged=true)" if names else ""


def _escalation(spec: Spec) -> str:
    names = _bad(spec, lambda security: security.get("allowPrivilegeEscalation") is not False)
    told = f"{_these(names)} must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({told})" if names else ""


def _setters(spec: Spec, is_bad: Callable[[Spec], bool]) -> str:
    """Name who sets something bad: the pod, its containers, or both."""
    names = _bad(spec, is_bad)
    return " and ".join([*(["pod"] if is_bad(_security(spec)) else []), *([_these(names)] if names else [])])


def _non_root(spec: Spec) -> str:
    if who := _setters(spec, lambda security: security.get("runAsNonRoot") is False):
        return f"runAsNonRoot != true ({who} must not set securityContext.runAsNonRoot=false)"
    if _security(spec).get("runAsNonRoot"):
        return ""
    names = _bad(spec, lambda security: not security.get("runAsNonRoot"))
    return f"runAsNonRoot != true (pod or {_these(names)} must set securityContext.runAsNonRoot=true)" if names else ""


def _root_user(spec: Spec) -> str:
    who = _setters(spec, lambda security: security.get("runAsUser") == 0)
    return f"runAsUser=0 ({who} must not set runAsUser=0)" if who else ""


def _profile(security: Spec) -> str:
    return str((security.get("seccompProfile") or {}).get("type") or "")


def _seccomp(spec: Spec) -> str:
    parts = [_security(spec), *map(_security, _containers(spec))]
    bad = sorted({_profile(part) for part in parts} - SAFE_SECCOMP - {""})
    who = _setters(spec, lambda security: _profile(security) in bad)
    return f"seccompProfile ({who} must not set securityContext.seccompProfile.type to {_quoted(bad)})" if bad else ""


def _strict_seccomp(spec: Spec) -> str:
    if told := _seccomp(spec):
        return told
    names = [] if _profile(_security(spec)) else _bad(spec, lambda security: not _profile(security))
    wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return f"seccompProfile (pod or {_these(names)} {wanted})" if names else ""


def _sysctls(spec: Spec) -> str:
    names = [one["name"] for one in _security(spec).get("sysctls") or () if one["name"] not in SAFE_SYSCTLS]
    return f"forbidden sysctls ({', '.join(names)})" if names else ""
