"""Who started us: the user behind sudo, with groups, home and environment, or root itself."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUDO_ANCESTORS = 3
"""sudo may stand between us and itself as a monitor process (use_pty in sudoers(5))."""

_SUDOS_OWN = frozenset({"HOME", "LOGNAME", "MAIL", "PATH", "SHELL", "TERM", "USER"})
"""What sudo sets for root by itself (sudoers(5), "Command environment"), so it says nothing about the user's wish."""


@dataclass(frozen=True, slots=True)
class Invoker:
    """A user to run as. `groups` are all of the user's groups; `environment` is complete."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    environment: Mapping[str, str]

    @property
    def is_root(self) -> bool:
        """Say whether there is no lesser user to become: root without sudo, as in containers and CI."""
        return self.uid == 0


def find_invoker(environ: Mapping[str, str], proc: Path = Path("/proc")) -> Invoker:
    """Return who ran sudo, or root itself when nobody did. To be called as root, with root's environment.

    sudo takes `KUBECONFIG`, the proxy variables and the user's PATH away, where credential plugins are found. They are
    read from sudo's own process, and given back only to the user they came from; what was set on sudo's command line
    (`sudo KUBECONFIG=... kttun`) weighs more. Raises EnvironmentFaultError when sudo's variables make no sense.
    """
    try:
        uid, gid = int(environ.get("SUDO_UID", "0")), int(environ.get("SUDO_GID", "0"))
    except ValueError as error:
        raise EnvironmentFaultError("SUDO_UID and SUDO_GID are not numbers") from error
    if uid == 0:
        return Invoker(0, os.getgid(), tuple(os.getgroups()), dict(environ))
    name, home = _account(uid, environ)
    environment = {**_environment_before_sudo(proc, os.getppid()), **_named_to_sudo(environ)}
    environment.setdefault("PATH", environ.get("PATH", os.defpath))
    if home is not None:
        environment["HOME"] = home
    environment.update(USER=name, LOGNAME=name)
    return Invoker(uid, gid, tuple(os.getgrouplist(name, gid)), environment)


def _account(uid: int, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Return name and home; a user whom no directory knows keeps the name that sudo says."""
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return environ.get("SUDO_USER", str(uid)), None
    return account.pw_name, account.pw_dir


def _named_to_sudo(environ: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environ.items() if key not in _SUDOS_OWN and not key.startswith("SUDO_")}


def _environment_before_sudo(proc: Path, pid: int) -> dict[str, str]:
    """Return the environment that sudo was started with, empty when it cannot be seen."""
    for _ in range(_SUDO_ANCESTORS):
        try:
            if (proc / str(pid) / "comm").read_text().strip() == "sudo":
                return _parsed((proc / str(pid) / "environ").read_bytes())
            # proc(5), stat: the name in brackets may hold anything, so count from behind its last bracket.
            pid = int((proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return {}


def _parsed(block: bytes) -> dict[str, str]:
    pairs = (os.fsdecode(entry).partition("=") for entry in block.split(b"\0"))
    return {key: value for key, equals, value in pairs if key and equals}
