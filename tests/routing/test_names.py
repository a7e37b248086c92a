from ipaddress import ip_address

import pytest

from kttun.config import DnsMode
from kttun.errors import UsageError
from kttun.routing.names import ResolverPlan, check_domain, plan_names

SERVER = (ip_address("10.99.0.1"),)


def test_a_namespace_gets_the_search_list_of_its_pods():
    plan = plan_names("feature-1", "cluster.local", SERVER)
    assert plan.search == ("feature-1.svc.cluster.local", "svc.cluster.local", "cluster.local")
    assert plan.routing_domains == ("svc", "feature-1")
    assert plan.nameservers == SERVER
    assert plan.mode is DnsMode.AUTO


@pytest.mark.parametrize("namespace", ["dev", "prod", "test", "io", "internal"])
def test_a_namespace_called_like_a_public_suffix_takes_no_public_names(namespace):
    assert plan_names(namespace, "cluster.local", SERVER).routing_domains == ("svc",)


def test_a_namespace_called_svc_is_named_once():
    assert plan_names("svc", "cluster.local", SERVER).routing_domains == ("svc",)


def test_the_cluster_domain_may_have_a_final_dot_and_capitals():
    assert plan_names("a", "K8s.Example.org.", SERVER).search[-1] == "k8s.example.org"


@pytest.mark.parametrize("namespace", ["", "A", "a.b", "-a", "a-", "a_b", "a" * 64, "a\n", "a b", "ü", "a/b"])
def test_a_name_outside_rfc_1123_is_refused(namespace):
    with pytest.raises(UsageError, match="RFC 1123"):
        plan_names(namespace, "cluster.local", SERVER)


@pytest.mark.parametrize("domain", ["", ".", "a..b", "cluster.local..", "x" * 64, ".".join(["abcdefgh"] * 29)])
def test_a_domain_outside_rfc_1123_is_refused(domain):
    with pytest.raises(UsageError):
        plan_names("a", domain, SERVER)


def test_the_longest_domain_is_accepted():
    check_domain(".".join(["abcdefgh"] * 28) + ".a")


def test_a_plan_needs_a_nameserver_and_a_mode():
    with pytest.raises(ValueError, match="nameserver"):
        ResolverPlan(nameservers=(), search=())
    with pytest.raises(ValueError, match="off"):
        plan_names("a", "b", SERVER, DnsMode.OFF)
