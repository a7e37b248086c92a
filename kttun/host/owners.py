"""Guess who made a route, from its device's name: a person knows "Docker", not `br-3f2c`."""

from __future__ import annotations

from fnmatch import fnmatchcase

_BY_DEVICE = (
    ("docker*", "Docker"),
    ("br-*", "Docker network"),
    ("podman*", "Podman"),
    ("cni*", "containers of this machine"),
    ("flannel*", "Kubernetes of this machine"),
    ("cali*", "Kubernetes of this machine"),
    ("cilium*", "Kubernetes of this machine"),
    ("virbr*", "libvirt"),
    ("vmnet*", "VMware"),
    ("vboxnet*", "VirtualBox"),
    ("lxc*", "LXC"),
    ("lxdbr*", "LXD"),
    ("incusbr*", "Incus"),
    ("tailscale*", "Tailscale"),
    ("zt*", "ZeroTier"),
    ("nordlynx*", "NordVPN"),
    ("CloudflareWARP", "Cloudflare WARP"),
    ("wg*", "WireGuard"),
    ("ppp*", "VPN (PPP)"),
    ("gpd*", "GlobalProtect"),
    ("cscotun*", "Cisco AnyConnect"),
    ("vpn*", "VPN"),
    ("tun*", "VPN"),
    ("tap*", "VPN"),
    ("ipsec*", "VPN (IPsec)"),
    ("kttun*", "another kttun"),
)

_BY_PROTOCOL = {
    2: "connected network",
    3: "set by hand",
    4: "set by hand",
    9: "router advertisement",
    16: "DHCP",
    107: "another kttun",
}
"""RTPROT_* of linux/rtnetlink.h; 3 (boot) is what ip-route(8) writes."""


def guess_owner(device: str, protocol: int) -> str:
    """Return who a person would say owns a route; the device's name says more than the protocol number."""
    for pattern, owner in _BY_DEVICE:
        if fnmatchcase(device, pattern):
            return owner
    return _BY_PROTOCOL.get(protocol, "a routing daemon")
