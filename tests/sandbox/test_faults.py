"""Faults on demand: what a client meets while a part is away, and that all works again afterwards."""

import json
import select
import ssl
import threading
from http.client import HTTPSConnection

import pytest
from kubernetes.client import ApiException
from lanes import PATIENCE_S, echo, end_of, receive, send
from practice import listening
from urllib3.exceptions import HTTPError

from kttun.config import CarrierKind
from kttun.link.carrier import LaneLostError
from kttun.link.upgrade import dial
from kttun.sandbox import faults
from kttun.sandbox.kinds import PODS

FORWARD = "/api/v1/namespaces/shop/pods/p/portforward?ports=80"


@pytest.fixture
def held(shop):
    """A lane through which an echo has come back."""
    spec = {"nodeName": "n1", "containers": [{"name": "main", "image": "i"}]}
    shop.create(PODS, {"metadata": {"name": "p", "namespace": "shop"}, "spec": spec})
    with listening(echo) as port:
        carrier = dial(shop.login().endpoint, "shop", "p", port, kind=CarrierKind.SPDY, timeout_s=PATIENCE_S)
        send(carrier, b"one")
        receive(carrier, 3)
        carrier.port = port
        yield carrier
        carrier.close()


def asked(practice):
    """Ask for a port-forward; give status and body of the answer."""
    context = ssl.create_default_context(cadata=practice.authority.pem.decode())
    certificate = practice.kubeconfig().with_suffix(".pem")
    certificate.write_bytes(b"".join(practice.authority.user("admin", ["system:masters"])))
    context.load_cert_chain(certificate)
    connection = HTTPSConnection("127.0.0.1", practice.port, context=context, timeout=PATIENCE_S)
    try:
        connection.request("GET", FORWARD, headers={"Connection": "Upgrade", "Upgrade": "nothing"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def works(practice, held):
    carrier = dial(practice.login().endpoint, "shop", "p", held.port, kind=CarrierKind.SPDY, timeout_s=PATIENCE_S)
    send(carrier, b"back")
    found = receive(carrier, 4)
    carrier.close()
    return found == b"back"


def test_an_api_server_that_was_killed_refuses_and_comes_back(shop, held):
    shop.call(shop.server.kill)
    end_of(held)
    with pytest.raises(HTTPError):
        shop.rest().get("/version")
    shop.call(shop.server.start)
    assert shop.rest().get("/version")
    assert works(shop, held)


def test_an_api_server_that_is_stopped_is_silent_and_goes_on(shop, held):
    shop.call(shop.server.freeze)
    send(held, b"two")
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(shop.rest().get("/version")))
    waiting.start()
    assert not select.select([held], [], [], 0.5)[0]
    assert waiting.is_alive()
    shop.call(shop.server.thaw)
    assert receive(held, 3) == b"two"
    waiting.join(PATIENCE_S)
    assert answers
    assert works(shop, held)


def test_a_kubelet_that_was_killed_is_named_and_then_knows_nothing(shop, held, monkeypatch):
    monkeypatch.setattr(faults, "BACK_S", 1000)
    shop.call(shop.faults.kill_kubelet)
    end_of(held)
    status, body = asked(shop)
    assert status == 500
    assert (
        json.loads(body)["message"] == "error dialing backend: dial tcp 172.30.0.2:10250: connect: connection refused"
    )
    with pytest.raises(ApiException):
        shop.rest().text("/api/v1/namespaces/shop/pods/p/log")
    monkeypatch.setattr(faults, "BACK_S", 0)
    shop.call(shop.faults.kill_kubelet)
    assert asked(shop) == (404, b"")
    while asked(shop)[0] == 404:  # for a second
        pass
    assert works(shop, held)


def test_a_runtime_that_was_killed_says_nothing(shop, held, monkeypatch):
    monkeypatch.setattr(faults, "BACK_S", 1000)
    shop.call(shop.faults.kill_runtime)
    with pytest.raises(LaneLostError):
        receive(held, 1)
    assert asked(shop) == (500, b"")
    monkeypatch.setattr(faults, "BACK_S", 0)
    shop.call(shop.faults.kill_runtime)
    assert asked(shop)[0] == 400
    assert works(shop, held)


def test_a_silent_api_server_that_is_killed_speaks_when_it_comes_back(shop):
    shop.call(shop.server.freeze)
    shop.call(shop.server.kill)
    shop.call(shop.server.start)
    assert shop.rest().get("/version")


def test_switches_may_be_turned_twice(shop):
    for act in (shop.server.thaw, shop.server.freeze, shop.server.thaw, shop.server.kill):
        shop.call(act)
        shop.call(act)
    shop.call(shop.server.start)
    assert shop.rest().get("/version")
