"""`kttun routes`: of a session, or computed from options alone; the text is the JSON in columns."""

import json
from ipaddress import ip_address, ip_network

import pytest

from kttun.commands import routes
from kttun.commands.plan_text import plan_lines
from kttun.errors import NoSuchSessionError, UsageError

PLAN = {
    "schema": 1,
    "tunnel": [{"cidr": "10.96.0.0/12", "source": "ServiceCIDR kubernetes"}],
    "excluded": [{"cidr": "10.96.0.1/32", "reason": "API server"}, {"cidr": "fd00:96::/112", "reason": "--exclude"}],
    "conflicts": [{"cidr": "10.100.0.0/24", "device": "docker0", "owner": "Docker"}],
}
TEXT = """\
tunnel    10.96.0.0/12         ServiceCIDR kubernetes
excluded  10.96.0.1/32         API server
excluded  fd00:96::/112        --exclude
conflict  10.100.0.0/24        docker0 (Docker)
"""


def test_each_network_is_one_line_with_who_said_so():
    assert "".join(f"{line}\n" for line in plan_lines(PLAN)) == TEXT


def test_the_sessions_own_plan_is_shown(serve, run):
    serve("shop", {"routes": lambda _request: PLAN})
    assert run(routes, "routes") == 0
    assert run.out() == TEXT
    assert run(routes, "routes --json -s shop") == 0
    assert json.loads(run.out()) == PLAN


def test_without_a_session_there_is_nothing_to_show(run):
    with pytest.raises(NoSuchSessionError):
        run(routes, "routes")


def planned(run, line):
    assert run(routes, f"routes --plan --json {line}") == 0
    return json.loads(run.out())


def enters(plan, address):
    inside = any(ip_address(address) in ip_network(route["cidr"]) for route in plan["tunnel"])
    return inside and not any(ip_address(address) in ip_network(route["cidr"]) for route in plan["excluded"])


def test_a_plan_of_nothing_is_nothing(run):
    assert planned(run, "") == {"schema": 1, "tunnel": [], "excluded": [], "conflicts": []}
    assert run(routes, "routes --plan") == 0
    assert run.out() == ""


def test_a_plan_names_the_option_that_asked_for_each_network(run):
    line = "--service-cidr 10.96.0.0/12 --pod-cidr 10.244.0.0/16,fd00:244::/56 --include 192.0.2.0/24"
    assert planned(run, f"{line} --exclude 10.244.7.0/24") == {
        "schema": 1,
        "tunnel": [
            {"cidr": "10.96.0.0/12", "source": "--service-cidr"},
            {"cidr": "10.244.0.0/16", "source": "--pod-cidr"},
            {"cidr": "192.0.2.0/24", "source": "--include"},
            {"cidr": "fd00:244::/56", "source": "--pod-cidr"},
        ],
        "excluded": [{"cidr": "10.244.7.0/24", "reason": "--exclude"}],
        "conflicts": [],
    }


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("https://10.244.0.9:6443", "10.244.0.9"),
        ("https://10.244.0.9", "10.244.0.9"),
        ("10.244.0.9:6443", "10.244.0.9"),
        ("10.244.0.9", "10.244.0.9"),
        ("https://user@10.244.0.9/prefix", "10.244.0.9"),
        ("https://[fd00:244::9]:6443", "fd00:244::9"),
        ("[fd00:244::9]:6443", "fd00:244::9"),
        ("fd00:244::9", "fd00:244::9"),
    ],
)
def test_an_api_server_inside_the_pod_range_stays_outside_the_tunnel(run, server, address):
    plan = planned(run, f"--pod-cidr 10.244.0.0/16,fd00:244::/56 --server {server}")
    assert plan["excluded"] == [{"cidr": str(ip_network(address)), "reason": "API server"}]
    assert not enters(plan, address)
    assert enters(plan, "10.244.0.10")
    assert enters(plan, "fd00:244::a")


def test_not_even_include_takes_the_api_server(run):
    assert not enters(planned(run, "--include 10.244.0.9/32 --server 10.244.0.9"), "10.244.0.9")


def test_a_server_that_is_a_name_is_left_out_since_nothing_is_looked_up(run):
    assert planned(run, "--pod-cidr 10.244.0.0/16 --server https://api.example:6443")["excluded"] == []


@pytest.mark.parametrize("server", ["https://[10.0.0.1", "https://", "https://:6443", "unix:///run/k8s"])
def test_a_server_without_a_host_is_wrong_usage(run, server):
    with pytest.raises(UsageError, match="--server") as caught:
        run(routes, f"routes --plan --server {server}")
    assert caught.value.hints == ("--server https://HOST:PORT",)


def test_own_subnets_stay_out_and_are_named_as_conflicts(run):
    plan = planned(run, "--pod-cidr 10.0.0.0/8 --connected 10.1.0.0/16,192.0.2.0/24")
    assert plan["excluded"] == [{"cidr": "10.1.0.0/16", "reason": "connected network of --connected"}]
    assert plan["conflicts"] == [{"cidr": "10.1.0.0/16", "device": "--connected", "owner": "connected network"}]
    assert not enters(plan, "10.1.2.3")
    assert enters(plan, "10.2.0.1")


def test_what_the_user_includes_of_an_own_subnet_enters(run):
    plan = planned(run, "--connected 10.1.0.0/16 --include 10.1.9.0/24")
    assert enters(plan, "10.1.9.1")
    assert not enters(plan, "10.1.8.1")
