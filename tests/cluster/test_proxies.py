from urllib.parse import urlsplit

import pytest

from kttun.cluster.proxies import bypassed


@pytest.mark.parametrize(
    ("server", "no_proxy", "expected"),
    [
        ("https://api.example.org:6443", "", False),
        ("https://api.example.org:6443", "*", True),
        ("https://api.example.org:6443", "other.org, example.org", True),
        ("https://API.example.org:6443", "api.EXAMPLE.org", True),
        ("https://example.org", ".example.org", False),
        ("https://api.example.org", ".example.org", True),
        ("https://api.example.org", "*.example.org", True),
        ("https://myexample.org", "example.org", False),
        ("https://api.example.org:6443", "example.org:6443", True),
        ("https://api.example.org:6443", "example.org:443", False),
        ("https://api.example.org", "example.org:443", True),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", True),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://[fd00::1]:6443", "fd00::/8", True),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", True),
        ("https://localhost:6443", "", True),
        ("https://127.0.0.1", "", True),
        ("https://[::1]:1", "", True),
        ("https://api.example.org", "10.0.0.0/8,,", False),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(server, no_proxy, expected):
    assert bypassed(urlsplit(server), no_proxy) is expected
