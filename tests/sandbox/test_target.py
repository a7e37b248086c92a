"""Paths and methods, taken apart."""

import pytest

from kttun.sandbox.kinds import CLUSTER_ROLES, JOBS, NAMESPACES, PODS
from kttun.sandbox.status import StatusError
from kttun.sandbox.target import Target, target


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/namespaces/shop/pods", Target(PODS, "shop", "", "", "list")),
        ("GET", "/api/v1/pods", Target(PODS, "", "", "", "list")),
        ("GET", "/api/v1/namespaces/shop/pods/p", Target(PODS, "shop", "p", "", "get")),
        ("GET", "/api/v1/namespaces/shop/pods/p/log", Target(PODS, "shop", "p", "log", "get")),
        ("POST", "/api/v1/namespaces/shop/pods/p/portforward", Target(PODS, "shop", "p", "portforward", "create")),
        ("GET", "/api/v1/namespaces", Target(NAMESPACES, "", "", "", "list")),
        ("DELETE", "/api/v1/namespaces/shop", Target(NAMESPACES, "", "shop", "", "delete")),
        ("POST", "/apis/batch/v1/namespaces/shop/jobs", Target(JOBS, "shop", "", "", "create")),
        ("PATCH", "/apis/batch/v1/namespaces/shop/jobs/j", Target(JOBS, "shop", "j", "", "patch")),
        (
            "GET",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/x",
            Target(CLUSTER_ROLES, "", "x", "", "get"),
        ),
    ],
)
def test_a_path_names_its_target(method, path, expected):
    assert target(method, path, watch=False) == expected


def test_a_list_that_goes_on_is_a_watch():
    assert target("GET", "/api/v1/pods", watch=True).verb == "watch"


def test_a_namespace_is_authorized_in_itself():
    assert target("GET", "/api/v1/namespaces/shop", watch=False).attributes().namespace == "shop"


@pytest.mark.parametrize("path", ["/version", "/api", "/api/v1", "/apis", "/apis/batch", "/apis/batch/v1", "/"])
def test_other_paths_name_none(path):
    assert target("GET", path, watch=False) is None


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/v1/unknowns", 404),
        ("GET", "/apis/batch/v2/namespaces/shop/jobs", 404),
        ("GET", "/api/v1/namespaces/shop/pods/p/exec", 404),
        ("GET", "/api/v1/namespaces/shop/pods/p/log/more", 404),
        ("GET", "/api/v1/namespaces/shop/nodes", 404),
        ("TRACE", "/api/v1/pods", 405),
        ("DELETE", "/api/v1/namespaces/shop/pods", 405),
        ("PUT", "/api/v1/namespaces/shop/pods/p", 405),
        ("GET", "/api/v1/namespaces/shop/serviceaccounts/a/token", 405),
        ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", 405),
    ],
)
def test_what_does_not_exist_is_refused(method, path, code):
    with pytest.raises(StatusError) as refused:
        target(method, path, watch=False)
    assert refused.value.code == code
