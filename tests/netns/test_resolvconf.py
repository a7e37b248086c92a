"""resolv.conf where it cannot simply be renamed over: bind mounts, read-only disks, immutable files."""

import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from kttun.errors import EnvironmentFaultError
from kttun.host.resolver.resolvconf import Resolvconf
from kttun.routing.names import plan_names

ORIGINAL = "nameserver 192.168.7.1\n"
PLAN = plan_names("shop", "cluster.local", (ip_address("10.99.0.1"),))


@pytest.fixture
def conf():
    folder = Path("/run/etc")
    folder.mkdir()
    (folder / "resolv.conf").write_text(ORIGINAL)
    return folder / "resolv.conf"


def test_a_bind_mount_is_written_in_place_and_restored(conf, run, echo):
    source = Path("/run/of-the-container-runtime")
    source.write_text(ORIGINAL)
    run(f"mount --bind {source} {conf}")
    method = Resolvconf("one", conf)
    method.apply("kttun0", PLAN, echo)
    assert "10.99.0.1" in source.read_text()
    method.apply("kttun0", PLAN, echo)
    method.undo("kttun0", echo)
    assert source.read_text() == ORIGINAL
    assert [path.name for path in conf.parent.iterdir()] == ["resolv.conf"]


def test_two_sessions_on_a_bind_mount_end_in_the_order_of_their_start(conf, run, echo):
    source = Path("/run/of-the-container-runtime")
    source.write_text(ORIGINAL)
    run(f"mount --bind {source} {conf}")
    methods = [Resolvconf("one", conf), Resolvconf("two", conf)]
    for method in methods:
        method.apply("kttun0", PLAN, echo)
    for method in methods:
        method.undo("kttun0", echo)
    assert source.read_text() == ORIGINAL
    assert [path.name for path in conf.parent.iterdir()] == ["resolv.conf"]


def test_a_read_only_disk_is_named_with_the_way_out(conf, run, echo):
    run(f"mount --bind {conf.parent} {conf.parent} && mount -o remount,bind,ro {conf.parent}")
    with pytest.raises(EnvironmentFaultError, match="Read-only file system") as caught:
        Resolvconf("one", conf).apply("kttun0", PLAN, echo)
    assert "--dns off" in caught.value.hints[-1]
    assert conf.read_text() == ORIGINAL


def test_an_immutable_file_is_named_with_the_way_to_see_it(conf, run, echo):
    if subprocess.run(["chattr", "+i", conf], check=False, capture_output=True).returncode:
        pytest.skip("this file system knows no immutable files")
    try:
        with pytest.raises(EnvironmentFaultError, match="Operation not permitted") as caught:
            Resolvconf("one", conf).apply("kttun0", PLAN, echo)
        assert "lsattr" in caught.value.hints[0]
        assert conf.read_text() == ORIGINAL
        assert [path.name for path in conf.parent.iterdir()] == ["resolv.conf"]
    finally:
        run(f"chattr -i {conf}")
