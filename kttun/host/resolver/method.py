"""What every way of telling the host's resolver has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from kttun.host.echo import Echo
    from kttun.routing.names import ResolverPlan


class Method(Protocol):
    """One way. `apply` may be called again with another plan; `undo` may be called without `apply`."""

    @property
    def name(self) -> str:
        """The word of `--dns` for it."""

    def obstacle(self) -> str | None:
        """Return what stands against this way on this machine, in a few words, or None."""

    def is_supported(self) -> bool:
        """Say whether nothing stands against it."""

    def apply(self, link: str, plan: ResolverPlan, echo: Echo) -> None:
        """Make the host ask `plan.nameservers` for the plan's names; EnvironmentFaultError when it cannot."""

    def undo(self, link: str, echo: Echo) -> None:
        """Take back what `apply` did; EnvironmentFaultError when it cannot."""


def nameservers_of(resolv_conf: Path) -> tuple[str, ...]:
    """Return the addresses that resolv.conf(5) names, none when the file cannot be read."""
    try:
        text = resolv_conf.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ()
    lines = (line.split() for line in text.splitlines())
    return tuple(words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
