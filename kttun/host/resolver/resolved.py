"""Tell systemd-resolved which names belong to the TUN's link: nothing else changes, and the link's end undoes it.

The order is resolved's own advice to VPNs (systemd, docs/RESOLVED-VPNS.md): domains and default-route before servers,
so that no public name is sent to us even for a moment. LLMNR, mDNS, DNSSEC and DNS-over-TLS are off on this link: the
forwarder at its end speaks plain DNS, and cluster domains are not signed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError
from kttun.host.resolver.method import nameservers_of

if TYPE_CHECKING:
    from kttun.host.echo import Echo
    from kttun.routing.names import ResolverPlan

TRUSTED_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where root looks for resolvectl, whatever PATH it was started with."""
STUB_ADDRESSES = frozenset({"127.0.0.53", "127.0.0.54"})
"""systemd-resolved.service(8): the stub listener, and the one that only forwards."""
TIMEOUT_S = 10.0
"""Longest wait for one resolvectl call; it waits for D-Bus, which may be starting the service."""

_MAY_FAIL = frozenset({"llmnr", "mdns", "dnssec", "dnsovertls", "flush-caches"})
"""Verbs that older or smaller builds lack; the names work without them."""


class Resolved:
    """systemd-resolved, by resolvectl(1)."""

    name = "resolved"

    def __init__(self, resolv_conf: Path = Path("/etc/resolv.conf"), search_path: str = TRUSTED_PATH) -> None:
        self._resolv_conf = resolv_conf
        self._search_path = search_path
        self._program = shutil.which("resolvectl", path=search_path)

    def obstacle(self) -> str | None:
        """Return what is missing: the program, its place in resolv.conf, or a service that answers."""
        if self._program is None:
            return "resolvectl is not installed"
        if not STUB_ADDRESSES.intersection(nameservers_of(self._resolv_conf)):
            return f"{self._resolv_conf} does not name systemd-resolved (127.0.0.53)"
        if failure := self._run("dns"):
            return f"systemd-resolved does not answer: {failure}"
        return None

    def is_supported(self) -> bool:
        """Say whether programs of this machine really ask systemd-resolved, and it answers."""
        return self.obstacle() is None

    def apply(self, link: str, plan: ResolverPlan, echo: Echo) -> None:
        """Set domains, then servers, of this link."""
        domains = [*plan.search, *(f"~{domain}" for domain in plan.routing_domains)]
        servers = [str(address) for address in plan.nameservers]
        self._must("domain", link, *domains, echo=echo)
        self._must("default-route", link, "no", echo=echo)
        for protocol in ("llmnr", "mdns", "dnssec", "dnsovertls"):
            self._must(protocol, link, "no", echo=echo)
        self._must("dns", link, *servers, echo=echo)
        self._must("flush-caches", echo=echo)

    def undo(self, link: str, echo: Echo) -> None:
        """Forget this link's settings, for a link that lives on; a link that is gone took them along."""
        self._must("revert", link, echo=echo)

    def _must(self, verb: str, *arguments: str, echo: Echo) -> None:
        line = " ".join(("resolvectl", verb, *arguments))
        failure = self._run(verb, *arguments)
        if failure is None:
            echo.did(line)
        elif verb not in _MAY_FAIL:
            raise EnvironmentFaultError(f"systemd-resolved refuses `{line}`: {failure}", "try --dns resolvconf")

    def _run(self, *arguments: str) -> str | None:
        """Return the first line of what it complains about, or None when it succeeded."""
        environment = {"PATH": self._search_path, "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": "", "NO_COLOR": "1"}
        try:
            done = subprocess.run(
                [self._program or "resolvectl", *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
                text=True,
                errors="replace",
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {TIMEOUT_S:.0f} s"
        except OSError as error:
            return str(error.strerror)
        if done.returncode == 0:
            return None
        complaint = (done.stderr or done.stdout).strip().splitlines()
        return complaint[0] if complaint else f"exit code {done.returncode}"
