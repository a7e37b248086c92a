"""The practice cluster's cables: one line between machine and node, one between node and each pod.

    machine  kttun-sandbox .1 ---- .2 eth0  node  podN .1 ---- eth0  pod

Pods hang on lines of their own and not on a bridge, as with the CNI plug-in `ptp`: then every packet is routed by the
node, so Service addresses work between pods too, without the machine-wide br_netfilter. The bridge `pods` has no ports:
it carries the node's address towards the pods, and the way to addresses that no pod has, where ARP finds nobody.

Nothing here leaves the node, which has no default route; the machine's own namespace has `unreachable` routes to the
pod and Service ranges, so that what is meant for the sandbox is not sent elsewhere while no tunnel is up.
"""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from kttun.host.rtnetlink import NetlinkError, open_kernel
from kttun.sandbox.namespaces import inside

if TYPE_CHECKING:
    from ipaddress import IPv4Address

    from kttun.host.rtnetlink import IPRoute
    from kttun.sandbox.shape import Shape

LINE = "kttun-sandbox"
"""The machine's end of the line."""
PROTOCOL = 109
"""Marks our routes on the machine: free in linux/rtnetlink.h and rt_protos, and next to that of the sessions."""

_BRIDGE, _ETH = "pods", "eth0"
_LAST_METRIC = 0xFFFF_FFFE
"""Any other route to the same network wins."""
_LINK_SCOPE = 253
_IFA_F_NOPREFIXROUTE = 0x200  # linux/if_addr.h


def taken() -> list[IPv4Network]:
    """Give the IPv4 networks that this machine has addresses in or routes to, default routes left out."""
    with open_kernel("read the routes of this machine") as kernel:
        routes = [
            IPv4Network((message.get_attr("RTA_DST"), message["dst_len"]))
            for message in kernel.get_routes(family=2)
            if message["dst_len"] and message["proto"] != PROTOCOL
        ]
        addresses = [
            IPv4Network((message.get_attr("IFA_ADDRESS"), message["prefixlen"]), strict=False)
            for message in kernel.get_addr(family=2)
        ]
    return routes + addresses


def connect_machine(node: int, shape: Shape) -> None:
    """Lay the line to the process `node` (a pid) and block the ways by which practice packets could get out.

    Raises `EnvironmentFaultError`.
    """
    with open_kernel("connect the sandbox") as kernel:
        kernel.link("add", ifname=LINE, kind="veth", peer={"ifname": _ETH, "net_ns_pid": node})
        _up(kernel, LINE, shape.machine, shape.node_net.prefixlen)
        for network in dict.fromkeys((shape.pod_cidr, shape.service_cidr)):
            kernel.route("add", dst=str(network), type="unreachable", priority=_LAST_METRIC, proto=PROTOCOL)


def disconnect_machine() -> list[str]:
    """Remove what `connect_machine` made, whoever did it and died; give what was there, for people."""
    removed = []
    with open_kernel("disconnect the sandbox") as kernel:
        for index in kernel.link_lookup(ifname=LINE):
            with suppress(NetlinkError):  # it goes by itself with the node, perhaps just now
                kernel.link("del", index=index)
                removed.append(f"link {LINE}")
        for message in list(kernel.get_routes(family=2, proto=PROTOCOL)):
            if message["proto"] == PROTOCOL:
                network = f"{message.get_attr('RTA_DST')}/{message['dst_len']}"
                kernel.route("del", dst=network, type="unreachable", priority=_LAST_METRIC, proto=PROTOCOL)
                removed.append(f"route {network}")
    return removed


def set_up_node(shape: Shape) -> None:
    """Make this network namespace a node: the machine's line must have arrived. Raises `EnvironmentFaultError`."""
    set_forwarding(on=True)
    Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text("0", encoding="ascii")
    with open_kernel("set up the sandbox's node") as kernel:
        kernel.link("set", index=1, state="up")
        _up(kernel, _ETH, shape.node, shape.node_net.prefixlen)
        kernel.link("add", ifname=_BRIDGE, kind="bridge")
        bridge = _up(kernel, _BRIDGE, shape.gateway, shape.pods.prefixlen)
        # Service addresses need some way, so that the rules for those without a listener see their packets.
        for network in dict.fromkeys((shape.pod_cidr, shape.service_cidr)):
            if network != shape.pods:
                kernel.route("add", dst=str(network), oif=bridge, scope=_LINK_SCOPE)


def connect_pod(pod: int, line: str, address: IPv4Address, shape: Shape) -> None:
    """Lay the line `line` (the node's name for it) to the pod's network namespace (a descriptor), and its routes.

    Raises `EnvironmentFaultError`.
    """
    with open_kernel(f"connect the pod {address}") as kernel:
        kernel.link("add", ifname=line, kind="veth", peer={"ifname": _ETH, "net_ns_fd": pod})
        (index,) = kernel.link_lookup(ifname=line)
        kernel.link("set", index=index, state="up")
    with inside(pod), open_kernel(f"set up the pod {address}") as kernel:
        kernel.link("set", index=1, state="up")
        # As the plug-in `ptp` does it: even the neighbours are reached by way of the node.
        eth = _up(kernel, _ETH, address, shape.pods.prefixlen, flags=_IFA_F_NOPREFIXROUTE)
        kernel.route("add", dst=f"{shape.gateway}/32", oif=eth, scope=_LINK_SCOPE, prefsrc=str(address))
        kernel.route("add", dst=str(shape.pods), gateway=str(shape.gateway), prefsrc=str(address))
        kernel.route("add", dst="0.0.0.0/0", gateway=str(shape.gateway))
    with open_kernel(f"route to the pod {address}") as kernel:
        kernel.route("add", dst=f"{address}/32", oif=index, scope=_LINK_SCOPE, prefsrc=str(shape.gateway))


def set_forwarding(*, on: bool) -> None:
    """Let this thread's network namespace forward packets or not. Raises `OSError`."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text(str(int(on)), encoding="ascii")


def _up(kernel: IPRoute, device: str, address: IPv4Address, prefix: int, flags: int = 0) -> int:
    (index,) = kernel.link_lookup(ifname=device)
    kernel.addr("add", index=index, address=str(address), prefixlen=prefix, flags=flags)
    kernel.link("set", index=index, state="up")
    return int(index)
