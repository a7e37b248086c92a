import base64
import contextlib
import os
import ssl
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from fakes.kube import Kube, Refusal

from kttun.cluster.errors import mapped
from kttun.cluster.login import log_in
from kttun.cluster.rest import Rest
from kttun.config import ClusterChoice
from kttun.errors import EnvironmentFaultError, KttunError, UsageError


def into(path, **environ):
    return log_in(ClusterChoice(kubeconfig=path), environ)


def version(login):
    with mapped("read the version"):
        return Rest(login.api).get("/version")


@pytest.fixture
def secure(authority):
    with Kube(authority.server_context()) as server:
        server.script["GET", "/version"] = {"major": "1"}
        yield server


def test_a_login_says_who_where_and_how(write_kubeconfig):
    login = into(write_kubeconfig("http://api.test:8080/k8s/clusters/c-1/", user={"token": "t0p"}))
    assert (login.context, login.namespace, login.user) == ("lab", "team", "me")
    assert login.server == "http://api.test:8080/k8s/clusters/c-1"
    endpoint = login.endpoint
    assert (endpoint.host, endpoint.port, endpoint.path_prefix) == ("api.test", 8080, "/k8s/clusters/c-1")
    assert endpoint.tls is None
    assert endpoint.proxy is None
    assert dict(endpoint.headers()) == {"Authorization": "Bearer t0p"}


@pytest.mark.parametrize(("server", "port"), [("https://h", 443), ("http://h", 80), ("https://[fd00::1]:6443", 6443)])
def test_the_port_is_the_urls_or_the_schemes(server, port, write_kubeconfig):
    assert into(write_kubeconfig(server)).endpoint.port == port


def test_rest_goes_below_the_servers_path(kube, write_kubeconfig):
    kube.script["GET", "/k8s/version"] = {"major": "1"}
    assert version(into(write_kubeconfig(f"{kube.url}/k8s"))) == {"major": "1"}


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The directory for temporary files, which is empty."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return path


def test_a_client_certificate_identifies_and_leaves_no_key_behind(secure, authority, write_kubeconfig, temporary):
    certificate, key = authority.user("jane")
    path = write_kubeconfig(
        secure.url,
        cluster={"certificate-authority-data": encoded(authority.pem)},
        user={"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)},
    )
    version(into(path))
    assert secure.calls[0].peer == "jane"
    assert not list(temporary.iterdir())
    assert not any("kttun-identity" in target for target in open_files())


def open_files():
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own descriptor
            yield str(link.readlink())


def encoded(raw):
    return base64.b64encode(raw).decode()


def test_files_beside_the_kubeconfig_are_found_by_relative_paths(secure, authority, write_kubeconfig, tmp_path):
    certificate, key = authority.user("joe")
    for name, content in (("ca.pem", authority.pem), ("joe.pem", certificate), ("joe.key", key)):
        (tmp_path / name).write_bytes(content)
    path = write_kubeconfig(
        secure.url,
        cluster={"certificate-authority": "ca.pem"},
        user={"client-certificate": "joe.pem", "client-key": "joe.key"},
    )
    version(into(path))
    assert secure.calls[0].peer == "joe"


def test_tls_server_name_is_what_the_certificate_must_say(secure, authority, write_kubeconfig):
    cluster = {"certificate-authority-data": encoded(authority.pem), "tls-server-name": "api.test"}
    login = into(write_kubeconfig(secure.url, cluster=cluster))
    assert login.endpoint.server_hostname == "api.test"
    assert version(login) == {"major": "1"}
    wrong = into(write_kubeconfig(secure.url, cluster=cluster | {"tls-server-name": "other.test"}))
    with pytest.raises(EnvironmentFaultError, match=r"certificate of API server .* was not accepted"):
        version(wrong)


def test_a_server_of_an_unknown_authority_is_not_spoken_to(secure, write_kubeconfig):
    with pytest.raises(EnvironmentFaultError, match="was not accepted") as caught:
        version(into(write_kubeconfig(secure.url, user={"token": "secret"})))
    assert "certificate-authority" in caught.value.hints[0]
    assert not secure.calls


def test_insecure_is_insecure_only_when_the_kubeconfig_says_so(secure, write_kubeconfig):
    login = into(write_kubeconfig(secure.url, cluster={"insecure-skip-tls-verify": True}))
    assert login.endpoint.tls.verify_mode is ssl.CERT_NONE
    assert version(login) == {"major": "1"}


def test_impersonation_reaches_the_api_server_with_every_group(kube, write_kubeconfig):
    kube.script["GET", "/version"] = {}
    user = {
        "username": "ann",
        "password": "päss",
        "as": "jane",
        "as-uid": "7",
        "as-groups": ["dev", "ops", "all"],
        "as-user-extra": {"Acme/Scope": ["a", "b"]},
    }
    version(into(write_kubeconfig(kube.url, user=user)))
    headers = kube.calls[0].headers
    assert headers["Authorization"] == "Basic " + base64.b64encode("ann:päss".encode()).decode()
    assert headers["Impersonate-User"] == "jane"
    assert headers["Impersonate-Uid"] == "7"
    assert headers.get_all("Impersonate-Group") == ["dev", "ops", "all"]
    assert headers.get_all("Impersonate-Extra-Acme%2FScope") == ["a", "b"]


def test_a_token_file_is_read_again_for_each_request(kube, write_kubeconfig, tmp_path):
    kube.script["GET", "/version"] = {}
    login = into(write_kubeconfig(kube.url, user={"tokenFile": "token", "token": "old"}))
    for token in ("one", "two"):
        (tmp_path / "token").write_text(f"{token}\n")
        version(login)
    assert [call.headers["Authorization"] for call in kube.calls] == ["Bearer one", "Bearer two"]


def plugin(folder, script):
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "Never"}


CREDENTIAL = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": %s}'


def test_a_plugin_is_run_once_and_again_when_its_token_is_refused(kube, write_kubeconfig, tmp_path):
    answer = CREDENTIAL % '{"token": "tN"}'
    runs = tmp_path / "runs"
    exec_config = plugin(tmp_path, f"echo run >> {runs}; echo '{answer}' | sed s/tN/t$(wc -l < {runs})/")

    def only_second(call):
        if call.headers["Authorization"] != "Bearer t2":
            raise Refusal(401, "Unauthorized", "Unauthorized")
        return {}

    kube.script["GET", "/version"] = only_second
    login = into(write_kubeconfig(kube.url, user={"exec": exec_config}), PATH=os.environ["PATH"])
    version(login)
    version(login)
    assert [call.headers["Authorization"] for call in kube.calls] == ["Bearer t1", "Bearer t2", "Bearer t2"]


def test_a_plugins_certificate_identifies(secure, authority, write_kubeconfig, tmp_path):
    certificate, key = (part.decode().replace("\n", "\\n") for part in authority.user("plug"))
    (tmp_path / "answer").write_text(
        CREDENTIAL % f'{{"clientCertificateData": "{certificate}", "clientKeyData": "{key}"}}'
    )
    exec_config = plugin(tmp_path, f"cat {tmp_path}/answer")
    cluster = {"certificate-authority-data": encoded(authority.pem)}
    path = write_kubeconfig(secure.url, cluster=cluster, user={"exec": exec_config})
    version(into(path, PATH=os.environ["PATH"]))
    assert secure.calls[0].peer == "plug"


def test_a_token_that_stays_refused_is_told(kube, write_kubeconfig):
    kube.script["GET", "/version"] = Refusal(401, "Unauthorized", "Unauthorized")
    with pytest.raises(EnvironmentFaultError, match="does not accept the credentials") as caught:
        version(into(write_kubeconfig(kube.url, user={"token": "old"})))
    assert "log in again" in caught.value.hints[0]
    assert len(kube.calls) == 1


def test_an_old_auth_provider_gives_its_token(kube, write_kubeconfig):
    kube.script["GET", "/version"] = {}
    provider = {"name": "gcp", "config": {"access-token": "g00g", "expiry": "2999-01-01T00:00:00Z"}}
    version(into(write_kubeconfig(kube.url, user={"auth-provider": provider})))
    assert kube.calls[0].headers["Authorization"] == "Bearer g00g"


BROKEN = {
    "no server": ({"cluster": {"server": ""}}, "it is empty"),
    "a path as server": ({"cluster": {"server": "/api"}}, "is not a URL"),
    "another scheme": ({"cluster": {"server": "ftp://x"}}, "is not a URL"),
    "a bad port": ({"cluster": {"server": "https://x:70000"}}, "is not a URL"),
    "white space": ({"cluster": {"server": "https://x y"}}, "is not a URL"),
    "CA no base64": ({"cluster": {"certificate-authority-data": "!!"}}, "certificate-authority-data of lab"),
    "CA no PEM": ({"cluster": {"certificate-authority-data": "aGVsbG8="}}, "is not a PEM certificate"),
    "CA missing": ({"cluster": {"certificate-authority": "none.pem"}}, "none.pem, cannot be read: No such file"),
    "half an identity": ({"user": {"client-key-data": "aGVsbG8="}}, "has no client-certificate"),
    "the other half": ({"user": {"client-certificate-data": "aGVsbG8="}}, "has no client-key"),
    "identity no PEM": (
        {"user": {"client-certificate-data": "aGVsbG8=", "client-key-data": "aGVsbG8="}},
        "do not fit or are no PEM",
    ),
    "certificate missing": (
        {"user": {"client-certificate": "gone.pem", "client-key": "gone.key"}},
        "gone.pem, cannot be read",
    ),
    "impersonation of nobody": ({"user": {"as-groups": ["dev"]}}, "but no as"),
    "a header in a name": ({"user": {"as": "x\r\nHost: y"}}, "cannot stand in an HTTP header"),
    "SOCKS": ({"cluster": {"proxy-url": "socks5://p:1"}}, "names a SOCKS proxy"),
    "proxy no URL": ({"cluster": {"proxy-url": "::"}}, "proxy-url of cluster lab"),
}


@pytest.mark.parametrize(("parts", "said"), BROKEN.values(), ids=BROKEN)
def test_each_broken_kubeconfig_is_told_before_anything_is_sent(parts, said, write_kubeconfig):
    with pytest.raises((EnvironmentFaultError, UsageError)) as caught:
        into(write_kubeconfig("https://127.0.0.1:1", **parts))
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_a_key_that_wants_a_password_does_not_stop_at_the_terminal(write_kubeconfig, authority):
    certificate, key = authority.user("x")
    locked = serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hush"),
    )
    user = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(locked)}
    with pytest.raises(EnvironmentFaultError, match="do not fit or are no PEM"):
        into(write_kubeconfig("https://127.0.0.1:1", user=user))


BAD_TOKENS = {
    "control characters": ({"token": "a\nb"}, "cannot stand in an HTTP header"),
    "token file missing": ({"tokenFile": "gone"}, "tokenFile of me"),
    "plugin missing": ({"exec": {"command": "no-such-plugin-of-kttun"}}, "is not installed"),
    "plugin nameless": ({"exec": {"args": []}}, "names no command"),
    "auth-provider broken": ({"auth-provider": {"name": "oidc", "config": {"id-token": None}}}, "gave no token"),
}


@pytest.mark.parametrize(("user", "said"), BAD_TOKENS.values(), ids=BAD_TOKENS)
def test_credentials_that_cannot_be_had_stop_the_call(user, said, kube, write_kubeconfig):
    login = into(write_kubeconfig(kube.url, user=user))
    with pytest.raises(KttunError) as caught:
        version(login)
    assert said in caught.value.message
    assert not kube.calls


@pytest.mark.parametrize(
    ("cluster", "environ", "proxy"),
    [
        ({"proxy-url": "http://u:p%40ss@proxy:3128"}, {}, ("proxy", 3128, False, "u:p@ss")),
        ({"proxy-url": "https://proxy"}, {"HTTPS_PROXY": "http://other"}, ("proxy", 443, True, None)),
        ({}, {"HTTPS_PROXY": "http://env:8080"}, ("env", 8080, False, None)),
        ({}, {"https_proxy": "env:8080"}, ("env", 8080, False, None)),
        ({}, {"HTTP_PROXY": "http://env:8080"}, None),
        ({}, {"HTTPS_PROXY": "http://env:8080", "NO_PROXY": "api.test"}, None),
        ({"proxy-url": "http://proxy:1"}, {"NO_PROXY": "*"}, ("proxy", 1, False, None)),
    ],
)
def test_the_proxy_is_the_clusters_else_the_environments(cluster, environ, proxy, write_kubeconfig):
    found = into(write_kubeconfig("https://api.test", cluster=cluster), **environ).endpoint.proxy
    if proxy is None:
        assert found is None
        return
    *where, pair = proxy
    assert [found.host, found.port, found.tls] == where
    assert found.authorization == (pair and "Basic " + base64.b64encode(pair.encode()).decode())
