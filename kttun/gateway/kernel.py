"""Engine `kernel`: a TUN in the pod and one nftables table; the pod's own kernel forwards and masquerades.

The laptop's packets come out of the TUN, are routed like the pod's own, and leave with the pod's address. Answers find
their way back by connection tracking. Everything real networks do is done by a real network stack: refused ports,
unreachable hosts, path MTU, fragments. Needs CAP_NET_ADMIN, and CAP_MKNOD since container runtimes leave /dev/net out.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Interface, IPv6Interface

    Interface = IPv4Interface | IPv6Interface

TABLE = "kttun"


def ruleset(laptop: Iterable[Interface], tun: str) -> str:
    """Give the nftables table (nft(8) syntax) that lets the laptop's inner addresses out as the pod's own.

    Adding the table first makes deleting it safe when it is not there, so loading is idempotent. Packets towards the
    TUN that do not belong to a flow of the laptop's are refused: the pod's neighbours cannot reach the laptop.
    """
    masquerade = "\n".join(
        f'    {"ip" if each.version == 4 else "ip6"} saddr {each.ip} oifname != "{tun}" masquerade' for each in laptop
    )
    return f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
{masquerade}
  }}
  chain forward {{
    type filter hook forward priority filter;
    oifname "{tun}" ct state != {{ established, related }} reject
  }}
}}
"""


def load(rules: str) -> None:
    """Load a ruleset in one transaction; raise `EnvironmentFaultError` with nft's own words."""
    try:
        done = subprocess.run(["nft", "-f", "-"], input=rules, text=True, capture_output=True, timeout=30, check=False)
    except FileNotFoundError:
        raise EnvironmentFaultError("the gateway image has no nft program", "use the image of gateway-image/") from None
    if done.returncode:
        why = done.stderr.strip().splitlines()[0] if done.stderr.strip() else f"exit code {done.returncode}"
        raise EnvironmentFaultError(f"nft refused the gateway's rules: {why}")
