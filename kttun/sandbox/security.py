"""A container's securityContext as what the kernel understands: user, capabilities, no_new_privs, sysctls.

core/v1 SecurityContext and PodSecurityContext; what a container says weighs more than what its pod says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

CAPABILITIES = (  # noqa: SIM905 - forty words read better than forty strings
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
    "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()
"""In the order of their numbers (linux/capability.h)."""

USUAL = (  # noqa: SIM905 - as above
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
    "AUDIT_WRITE"
).split()
"""What container runtimes leave root when nobody says anything (containerd oci.defaultUnixCaps)."""

SAFE_SYSCTLS = frozenset(
    {
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
"""What the kubelet lets a pod set without being told to (Kubernetes "Using sysctls", safe set; the net ones)."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one container may do."""

    user: int
    group: int
    capabilities: int
    """Bits by the number of the capability."""
    no_new_privs: bool


def rights(pod_spec: dict[str, Any], container: dict[str, Any]) -> Rights:
    """Give the rights of a container of this pod."""
    context = {**(pod_spec.get("securityContext") or {}), **(container.get("securityContext") or {})}
    user = context.get("runAsUser") or 0
    if context.get("privileged"):
        return Rights(user, context.get("runAsGroup") or user, (1 << len(CAPABILITIES)) - 1, no_new_privs=False)
    asked = context.get("capabilities") or {}
    kept = _changed(USUAL, asked.get("drop") or (), asked.get("add") or ())
    return Rights(
        user=user,
        group=context.get("runAsGroup") or user,
        capabilities=sum(1 << CAPABILITIES.index(name) for name in kept),
        no_new_privs=context.get("allowPrivilegeEscalation") is False,
    )


def _changed(usual: list[str], drop: Iterable[str], add: Iterable[str]) -> set[str]:
    """Drop, then add; names that no kernel knows are nobody's right."""
    dropped, added = ({name.upper().removeprefix("CAP_") for name in names} for names in (drop, add))
    kept = set() if "ALL" in dropped else set(usual) - dropped
    return set(CAPABILITIES) - dropped if "ALL" in added else kept | (added & set(CAPABILITIES))


def sysctls(pod_spec: dict[str, Any]) -> dict[str, str]:
    """Give the sysctls that the pod asks for. Raises `ValueError` in the kubelet's words for one that is not safe."""
    asked = (pod_spec.get("securityContext") or {}).get("sysctls") or ()
    for each in asked:
        if each["name"] not in SAFE_SYSCTLS:
            raise ValueError(f'forbidden sysctl: "{each["name"]}" not allowlisted')
    return {each["name"]: each["value"] for each in asked}
