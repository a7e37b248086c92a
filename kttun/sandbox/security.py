"""A container's securityContext as what the kernel understands: user, capabilities, no_new_privs.

core/v1 SecurityContext and PodSecurityContext; what a container says weighs more than what its pod says. A privileged
container gets no more than others here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Rights:
    """What one container may do."""

    user: int
    """Its user and group."""
    capabilities: int
    """Bits by the number of the capability."""
    no_new_privs: bool


def rights(pod_spec: dict[str, Any], container: dict[str, Any]) -> Rights:
    """Give the rights of a container of this pod: what it drops is dropped first, then added what it adds."""
    context = {**(pod_spec.get("securityContext") or {}), **(container.get("securityContext") or {})}
    asked = context.get("capabilities") or {}
    dropped, added = ({name.removeprefix("CAP_") for name in asked.get(key) or ()} for key in ("drop", "add"))
    kept = added | (set() if "ALL" in dropped else set(USUAL) - dropped)
    return Rights(
        user=context.get("runAsUser") or 0,
        capabilities=sum(1 << number for number, name in enumerate(CAPABILITIES) if name in kept or "ALL" in added),
        no_new_privs=context.get("allowPrivilegeEscalation") is False,
    )
