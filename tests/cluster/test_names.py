"""Names to complete: one page, nothing where it is forbidden."""

import pytest
from fakes.kube import denied

from kttun.cluster.names import context_names, namespace_names, service_names
from kttun.config import ClusterChoice
from kttun.errors import EnvironmentFaultError


def listing(*names):
    return {"items": [{"metadata": {"name": name}} for name in names]}


def test_services_are_those_of_the_contexts_namespace(kube, write_kubeconfig):
    kube.script["GET", "/api/v1/namespaces/team/services"] = listing("web", "db")
    choice = ClusterChoice(kubeconfig=write_kubeconfig(kube.url))
    assert service_names(choice, {}) == ["web", "db"]
    assert kube.calls[0].query == {"limit": "500"}


def test_services_of_a_named_namespace(kube, write_kubeconfig):
    kube.script["GET", "/api/v1/namespaces/shop/services"] = listing("cart")
    assert service_names(ClusterChoice(write_kubeconfig(kube.url), namespace="shop"), {}) == ["cart"]


def test_namespaces_are_joined_with_the_kubeconfigs(kube, write_kubeconfig):
    kube.script["GET", "/api/v1/namespaces"] = listing("zoo", "team", "bar")
    assert namespace_names(ClusterChoice(write_kubeconfig(kube.url)), {}) == ["bar", "team", "zoo"]


def test_without_the_right_to_list_the_kubeconfigs_namespace_is_left(kube, write_kubeconfig):
    kube.script["GET", "/api/v1/namespaces"] = denied("list", "namespaces")
    assert namespace_names(ClusterChoice(write_kubeconfig(kube.url)), {}) == ["team"]


def test_contexts_come_from_the_kubeconfig_alone(kube, write_kubeconfig):
    assert context_names(ClusterChoice(write_kubeconfig(kube.url)), {}) == ["lab"]
    assert kube.calls == []


def test_a_missing_kubeconfig_is_told(tmp_path):
    with pytest.raises(EnvironmentFaultError):
        context_names(ClusterChoice(kubeconfig=tmp_path / "none"), {})
