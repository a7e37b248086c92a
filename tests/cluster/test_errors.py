import json
import socket
import ssl

import pytest
import urllib3
from kubernetes.client import ApiException

from kttun.cluster.errors import ApiError, UnauthorizedError, UnreachableError, mapped
from kttun.cluster.login import log_in
from kttun.cluster.rest import Rest
from kttun.config import ClusterChoice
from kttun.errors import EnvironmentFaultError, UsageError


def refused(status, message="", *, reason="", body=None, **names):
    error = ApiException(status=status, reason="x")
    error.body = json.dumps({"kind": "Status", "message": message, "reason": reason}) if body is None else body
    with pytest.raises(ApiError) as caught, mapped("create the gateway", **names):
        raise error
    assert "\n" not in caught.value.message
    assert not caught.value.message.endswith(".")
    return caught.value


def unreachable(error):
    with pytest.raises(EnvironmentFaultError) as caught, mapped("read the version"):
        raise error
    assert "\n" not in caught.value.message
    return caught.value


def test_a_missing_right_names_user_verb_resource_and_namespace():
    text = (
        'jobs.batch is forbidden: User "jane" cannot create resource "jobs" in API group "batch" in the namespace "x"'
    )
    error = refused(403, text, reason="Forbidden")
    assert error.message == "cannot create the gateway: jane may not create jobs.batch in namespace x"
    assert "kttun rbac" in error.hints[0]
    assert (error.status, error.reason, error.said) == (403, "Forbidden", text)


def test_refused_credentials_are_an_error_of_their_own():
    with pytest.raises(UnauthorizedError, match="does not accept the credentials") as caught, mapped("look"):
        raise ApiException(status=401)
    assert "log in again" in caught.value.hints[0]


def test_a_missing_right_in_the_whole_cluster_says_so():
    text = 'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope'
    assert refused(403, text).message.endswith("jane may not list nodes in the whole cluster")


@pytest.mark.parametrize(
    ("status", "message", "said", "hint"),
    [
        (404, 'namespaces "x" not found', 'namespaces "x" not found', "kubectl get namespaces"),
        (404, 'jobs "y" not found', 'jobs "y" not found', None),
        (
            403,
            "jobs is forbidden: exceeded quota: q, requested: 1",
            "exceeded quota: q",
            "create jobs.batch in namespace n",
        ),
        (403, "namespace x is being terminated because it is", "the namespace is being deleted", None),
        (400, 'admission webhook "w" denied the request: no', 'admission webhook "w" denied the request: no', None),
        (409, "already exists", "already exists", None),
        (429, "too many", "has trouble: too many", "in a moment"),
        (500, "etcdserver: request timed out", "has trouble: etcdserver", "in a moment"),
        (503, "", "has trouble: status 503", "in a moment"),
    ],
)
def test_each_refusal_is_told_with_the_servers_words(status, message, said, hint):
    error = refused(status, message, verb="create", resource="jobs.batch", namespace="n")
    assert said in error.message
    assert hint is None or hint in error.hints[0]
    assert (hint is None) == (not error.hints)


def test_a_body_that_is_no_status_is_shown_in_part():
    assert refused(502, body="<html>\n<b>Bad\tGateway</b>" + "x" * 1000).message.count("x") < 200
    assert "<b>Bad Gateway</b>" in refused(400, body="<html>\n<b>Bad\tGateway</b>").message
    assert refused(404, body="[1]").said == "[1]"


def test_an_error_of_ours_passes_as_it_is():
    ours = UsageError("wrong")
    with pytest.raises(UsageError) as caught, mapped("x"):
        raise ours
    assert caught.value is ours


def _retried(reason):
    pool = urllib3.HTTPConnectionPool("10.0.0.1", 6443)
    return urllib3.exceptions.MaxRetryError(pool, "/version", reason)


def _untrusted():
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "unable to get local issuer certificate"
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (_retried(urllib3.exceptions.ConnectTimeoutError(None, "x")), "0.1:6443 cannot be reached: no answer in time"),
        (_retried(ConnectionRefusedError(111, "Connection refused")), "cannot be reached: Connection refused"),
        (_retried(urllib3.exceptions.ProxyError("", OSError("Tunnel connection failed: 407"))), "of its proxy: Tunnel"),
        (socket.gaierror(-2, "Name or service not known"), "its name cannot be resolved"),
        (urllib3.exceptions.ProtocolError("Connection broken", ConnectionResetError(104, "Connection reset by peer")),
         "Connection reset by peer"),
        (TimeoutError(), "no answer in time"),
        (ssl.SSLError(1, "[SSL] wrong version number"), "TLS failed"),
        (ApiException(status=0, reason="SSLError\nsomething"), "cannot be reached: "),
    ],
)  # fmt: skip
def test_each_way_of_not_reaching_the_server_is_told_shortly(error, said):
    found = unreachable(error)
    assert isinstance(found, UnreachableError)
    assert said in found.message
    assert "VPN" in found.hints[0]


def test_an_untrusted_certificate_is_not_called_unreachable():
    error = unreachable(_retried(urllib3.exceptions.SSLError(_untrusted())))
    assert not isinstance(error, UnreachableError)
    assert error.message.endswith("was not accepted: unable to get local issuer certificate")


def test_an_answer_that_is_no_json_is_told():
    with pytest.raises(UnreachableError, match="no JSON"), mapped("read the version"):
        json.loads("<html>")


def test_a_server_that_is_not_there_is_named(write_kubeconfig):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    login = log_in(ClusterChoice(kubeconfig=write_kubeconfig(f"http://127.0.0.1:{port}")), {})
    with pytest.raises(UnreachableError) as caught, mapped("read the version"):
        Rest(login.api).get("/version")
    assert caught.value.message == (
        f"cannot read the version: API server 127.0.0.1:{port} cannot be reached: Connection refused"
    )
