import pytest

from kttun.host.owners import guess_owner


@pytest.mark.parametrize(
    ("device", "protocol", "owner"),
    [
        ("docker0", 2, "Docker"),
        ("br-3f2c", 2, "Docker network"),
        ("wg0", 3, "WireGuard"),
        ("tailscale0", 3, "Tailscale"),
        ("tun0", 3, "VPN"),
        ("virbr0", 2, "libvirt"),
        ("kttun0", 107, "another kttun"),
        ("eth0", 2, "connected network"),
        ("eth0", 16, "DHCP"),
        ("eth0", 186, "a routing daemon"),
    ],
)
def test_a_person_recognises_the_owner(device, protocol, owner):
    assert guess_owner(device, protocol) == owner
