"""Bring a TUN's link up: MTU, queue, silence, addresses. The laptop's helper and the gateway in the pod use it.

An IPv6 link talks by itself: it makes a link-local address, looks for routers and reports multicast groups (RFC 4861,
RFC 3810). All of that would enter the tunnel as packets with a foreign source, so both are turned off before the link
goes up.
"""

from __future__ import annotations

import errno
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from kttun.host.rtnetlink import NetlinkError, explained, open_kernel

if TYPE_CHECKING:
    from pyroute2.iproute.linux import IPRoute

    from kttun.config import Interface
    from kttun.host.echo import Echo
    from kttun.host.tun import Tun

TX_QUEUE_PACKETS = 1000
"""Length of the TUN's ring. It drops what does not fit, so it shall outlast one pause of the reader (default 500)."""

_IFF_MULTICAST = 0x1000  # linux/if.h
_ADDR_GEN_MODE_NONE = 1  # IN6_ADDR_GEN_MODE_NONE, linux/if_link.h
_IFA_F_NODAD = 0x02  # linux/if_addr.h: nobody could answer the question for duplicates


def configure_link(tun: Tun, tun_mtu: int, addresses: tuple[Interface, ...], echo: Echo) -> None:
    """Make the link up with this MTU (bytes) and exactly these addresses; additions come first.

    Raises EnvironmentFaultError with the step that failed.
    """
    with open_kernel(f"set up {tun.name}") as kernel:
        _bring_up(kernel, tun, tun_mtu, echo)
        present = _addresses(kernel, tun)
        for address in addresses:
            if address not in present:
                _add(kernel, tun, address, echo)
        for address in present:
            if address not in addresses:
                with explained(f"remove the address {address} from {tun.name}"):
                    kernel.addr("del", index=tun.index, address=str(address.ip), prefixlen=address.network.prefixlen)
                echo.did(f"ip address del {address} dev {tun.name}")


def link_in_force(tun: Tun) -> tuple[int, tuple[Interface, ...]]:
    """Return the link's MTU (bytes) and addresses as the kernel has them."""
    with open_kernel(f"read the state of {tun.name}") as kernel:
        (link,) = kernel.get_links(tun.index)
        return int(link.get_attr("IFLA_MTU")), _addresses(kernel, tun)


def _bring_up(kernel: IPRoute, tun: Tun, tun_mtu: int, echo: Echo) -> None:
    with explained(f"bring up {tun.name}"):
        (link,) = kernel.get_links(tun.index)
        if not link.get("flags", 0) & 1:  # IFF_UP
            # Refused where the kernel has no IPv6, and then not needed: nothing would talk.
            quiet = {"attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", _ADDR_GEN_MODE_NONE)]})]}
            try:
                kernel.link("set", index=tun.index, IFLA_AF_SPEC=quiet)
                echo.did(f"ip link set dev {tun.name} addrgenmode none")
            except NetlinkError as error:
                if error.code not in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL):
                    raise
            kernel.link("set", index=tun.index, flags=0, change=_IFF_MULTICAST)
            kernel.link("set", index=tun.index, state="up", mtu=tun_mtu, txqlen=TX_QUEUE_PACKETS)
            echo.did(f"ip link set dev {tun.name} multicast off")
            echo.did(f"ip link set dev {tun.name} mtu {tun_mtu} txqueuelen {TX_QUEUE_PACKETS} up")
        elif link.get_attr("IFLA_MTU") != tun_mtu:
            kernel.link("set", index=tun.index, mtu=tun_mtu)
            echo.did(f"ip link set dev {tun.name} mtu {tun_mtu}")


def _add(kernel: IPRoute, tun: Tun, address: Interface, echo: Echo) -> None:
    extra = {"flags": _IFA_F_NODAD} if address.version == 6 else {}
    with explained(f"give {tun.name} the address {address}"):
        kernel.addr("add", index=tun.index, address=str(address.ip), prefixlen=address.network.prefixlen, **extra)
    echo.did(f"ip address add {address} dev {tun.name}{' nodad' if extra else ''}")


def _addresses(kernel: IPRoute, tun: Tun) -> tuple[Interface, ...]:
    found = (
        ip_interface(f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}")
        for message in kernel.get_addr(index=tun.index)
    )
    return tuple(sorted(found, key=lambda address: (address.version, int(address.ip))))
