"""What a pod tells of itself, read from files of the test's own."""

import pytest

from kttun.gateway.pod import ResolvConf, forwards, mtu, read_resolv_conf

KUBELETS = """\
search shop.svc.cluster.local svc.cluster.local cluster.local corp.example
nameserver 10.96.0.10
options ndots:5
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KUBELETS, (("10.96.0.10",), ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example"))),
        ("nameserver 10.96.0.10\nnameserver fd00::a # second\n", (("10.96.0.10", "fd00::a"), ())),
        ("search one\nsearch two three\n", ((), ("two", "three"))),
        ("search one\nsearch\n", ((), ())),
        ("nameserver\n; a comment\n#nameserver 1.2.3.4\n\n", ((), ())),
        ("", ((), ())),
    ],
)
def test_resolv_conf_gives_servers_and_the_last_search_list(tmp_path, text, expected):
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    assert read_resolv_conf(path) == ResolvConf(*expected)


def test_bytes_that_are_no_text_do_no_harm(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_bytes(b"\xff\xfe\nnameserver 10.96.0.10\n")
    assert read_resolv_conf(path).nameservers == ("10.96.0.10",)


def test_a_pod_without_resolv_conf_has_no_names(tmp_path):
    assert read_resolv_conf(tmp_path / "missing") == ResolvConf((), ())


@pytest.mark.parametrize(("version", "name"), [(4, "ipv4/ip_forward"), (6, "ipv6/conf/all/forwarding")])
@pytest.mark.parametrize(("text", "expected"), [("1\n", True), ("0\n", False), ("2\n", False), ("", False)])
def test_forwarding_is_what_the_kernel_says(tmp_path, version, name, text, expected):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(text)
    assert forwards(version, tmp_path) is expected


@pytest.mark.parametrize("version", [4, 6])
def test_a_kernel_without_the_protocol_does_not_forward_it(tmp_path, version):
    assert forwards(version, tmp_path) is False


@pytest.mark.parametrize(("device", "expected"), [("eth0", 1450), ("missing", 1500), (None, 1500), ("broken", 1500)])
def test_the_mtu_is_the_devices_or_the_usual_one(tmp_path, device, expected):
    for name, text in (("eth0", "1450\n"), ("broken", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mtu").write_text(text)
    assert mtu(device, tmp_path) == expected
