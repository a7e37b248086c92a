from ipaddress import ip_address

import pytest

from kttun.config import DnsMode
from kttun.errors import EnvironmentFaultError
from kttun.host.echo import Echo
from kttun.host.resolver.choice import choose
from kttun.host.resolver.method import nameservers_of
from kttun.host.resolver.resolvconf import Resolvconf
from kttun.host.resolver.resolved import Resolved
from kttun.routing.names import plan_names

PLAN = plan_names("shop", "cluster.local", (ip_address("10.99.0.1"), ip_address("fd99::1")))


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch home\n")
    return path


@pytest.fixture
def resolvectl(tmp_path):
    """A resolvectl in small: writes down what it is asked, and fails for the verbs it is told to."""
    folder = tmp_path / "bin"
    folder.mkdir()
    log = folder / "log"

    def make(*failing):
        program = folder / "resolvectl"
        cases = "|".join(failing) or "never"
        program.write_text(
            f'#!/bin/sh\necho "$@" >> {log}\ncase $1 in {cases}) echo "Failed: no such thing" >&2; exit 1;; esac\n'
        )
        program.chmod(0o755)
        log.write_text("")
        return log

    make()
    make.path = f"{folder}:/usr/bin:/bin"
    make.again = make
    return make


def test_domains_and_default_route_come_before_servers(conf, resolvectl):
    log, echo = resolvectl(), Echo()
    Resolved(conf, resolvectl.path).apply("kttun0", PLAN, echo)
    expected = [
        "domain kttun0 shop.svc.cluster.local svc.cluster.local cluster.local ~svc",
        "default-route kttun0 no",
        "llmnr kttun0 no",
        "mdns kttun0 no",
        "dnssec kttun0 no",
        "dnsovertls kttun0 no",
        "dns kttun0 10.99.0.1 fd99::1",
        "flush-caches",
    ]
    assert log.read_text().splitlines() == expected
    assert echo.take() == tuple(f"resolvectl {line}" for line in expected)
    Resolved(conf, resolvectl.path).undo("kttun0", echo)
    assert echo.take() == ("resolvectl revert kttun0",)


def test_verbs_that_old_builds_lack_may_fail(conf, resolvectl):
    resolvectl("llmnr", "mdns", "dnssec", "dnsovertls", "flush-caches")
    echo = Echo()
    Resolved(conf, resolvectl.path).apply("kttun0", PLAN, echo)
    assert [line.split()[1] for line in echo.take()] == ["domain", "default-route", "dns"]


@pytest.mark.parametrize("verb", ["domain", "default-route", "dns"])
def test_a_refusal_says_the_line_and_the_way_out(conf, resolvectl, verb):
    resolvectl(verb)
    with pytest.raises(EnvironmentFaultError, match=f"resolvectl {verb} kttun0 .*no such thing") as caught:
        Resolved(conf, resolvectl.path).apply("kttun0", PLAN, Echo())
    assert "--dns resolvconf" in caught.value.hints[0]


@pytest.mark.parametrize(("server", "works"), [("127.0.0.53", True), ("127.0.0.54", True), ("192.168.1.1", False)])
def test_it_works_only_when_programs_really_ask_it(conf, resolvectl, server, works):
    conf.write_text(f"nameserver {server}\n")
    assert Resolved(conf, resolvectl.path).is_supported() is works


def test_each_obstacle_is_named(conf, resolvectl, tmp_path):
    assert "not installed" in Resolved(conf, str(tmp_path)).obstacle()
    resolvectl("dns")
    assert "no such thing" in Resolved(conf, resolvectl.path).obstacle()
    conf.unlink()
    assert "does not name systemd-resolved" in Resolved(conf, resolvectl.path).obstacle()


def test_a_program_that_hangs_or_cannot_run_is_an_obstacle(conf, resolvectl, monkeypatch, tmp_path):
    monkeypatch.setattr("kttun.host.resolver.resolved.TIMEOUT_S", 0.01)
    (tmp_path / "bin" / "resolvectl").write_text("#!/bin/sh\nread forever < /dev/zero\n")
    assert "no answer within" in Resolved(conf, resolvectl.path).obstacle()
    (tmp_path / "bin" / "resolvectl").write_text("#!/nowhere\n")
    assert "No such file" in Resolved(conf, resolvectl.path).obstacle()


def test_a_silent_failure_shows_its_code(conf, resolvectl, tmp_path):
    (tmp_path / "bin" / "resolvectl").write_text("#!/bin/sh\nexit 7\n")
    assert "exit code 7" in Resolved(conf, resolvectl.path).obstacle()


def test_auto_takes_the_gentlest_that_works(conf, resolvectl):
    methods = Resolved(conf, resolvectl.path), Resolvconf("one", conf)
    assert choose(DnsMode.AUTO, methods).name == "resolved"
    assert choose(DnsMode.RESOLVCONF, methods).name == "resolvconf"
    conf.write_text("nameserver 192.168.1.1\n")
    assert choose(DnsMode.AUTO, methods).name == "resolvconf"
    with pytest.raises(EnvironmentFaultError, match=r"resolved: .*does not name") as caught:
        choose(DnsMode.RESOLVED, methods)
    assert "--dns off" in caught.value.hints[0]


def test_nameservers_are_read_as_glibc_does(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text("#nameserver 1.1.1.1\nnameserver\t2.2.2.2 x\n nameserver 3.3.3.3\nnameserver\nsearch a\n")
    assert nameservers_of(path) == ("2.2.2.2", "3.3.3.3")
    assert nameservers_of(tmp_path / "none") == ()
