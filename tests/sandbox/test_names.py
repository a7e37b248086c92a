"""Cluster DNS by conversation: question and answer as wire format."""

import dns.flags
import dns.message
import dns.rcode
import pytest

from kttun.sandbox.controllers.endpoints import SERVICE_NAME
from kttun.sandbox.kinds import ENDPOINT_SLICES, NAMESPACES, SERVICES
from kttun.sandbox.names import Names
from kttun.sandbox.store import Store


def service(store, name, address, **spec):
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    meta = {"name": name, "namespace": "shop"}
    store.create(SERVICES, {"metadata": meta, "spec": {"clusterIP": address, "ports": ports, **spec}})


def ends(store, name, *endpoints):
    meta = {"name": f"{name}-0", "namespace": "shop", "labels": {SERVICE_NAME: name}}
    ports = [{"name": "http", "port": 8080, "protocol": "TCP"}]
    found = [{"conditions": {"ready": True}, **each} for each in endpoints]
    store.create(ENDPOINT_SLICES, {"metadata": meta, "endpoints": found, "ports": ports})


@pytest.fixture
def store():
    made = Store()
    made.create(NAMESPACES, {"metadata": {"name": "shop"}})
    service(made, "web", "10.96.0.7")
    service(made, "db", "None")
    ends(made, "db", {"addresses": ["10.244.0.5"], "hostname": "db-0"}, {"addresses": ["10.244.0.6"]})
    return made


@pytest.fixture
def ask(store):
    names = Names(store)

    def answer(name, kind="A"):
        response = dns.message.from_wire(names.answer(dns.message.make_query(name, kind).to_wire()))
        texts = sorted(str(record) for answer in response.answer for record in answer)
        return dns.rcode.to_text(response.rcode()), texts, bool(response.authority)

    return answer


FOUND, EMPTY, NOBODY = "NOERROR", ("NOERROR", [], True), ("NXDOMAIN", [], True)


@pytest.mark.parametrize(
    ("name", "kind", "texts"),
    [
        ("web.shop.svc.cluster.local", "A", ["10.96.0.7"]),
        ("WEB.Shop.svc.cluster.local", "A", ["10.96.0.7"]),
        ("_http._tcp.web.shop.svc.cluster.local", "SRV", ["0 100 80 web.shop.svc.cluster.local."]),
        ("db.shop.svc.cluster.local", "A", ["10.244.0.5", "10.244.0.6"]),
        ("db-0.db.shop.svc.cluster.local", "A", ["10.244.0.5"]),
        ("10-244-0-6.db.shop.svc.cluster.local", "A", ["10.244.0.6"]),
        ("10-244-0-6.shop.pod.cluster.local", "A", ["10.244.0.6"]),
        ("7.0.96.10.in-addr.arpa", "PTR", ["web.shop.svc.cluster.local."]),
        ("5.0.244.10.in-addr.arpa", "PTR", ["db-0.db.shop.svc.cluster.local."]),
        ("dns-version.cluster.local", "TXT", ['"1.1.0"']),
    ],
)
def test_what_is_there_is_answered(ask, name, kind, texts):
    assert ask(name, kind) == (FOUND, texts, False)


def test_each_pod_of_a_headless_service_has_its_share_of_a_named_port(ask):
    _, texts, _ = ask("_http._tcp.db.shop.svc.cluster.local", "SRV")
    assert texts == [
        "0 50 8080 10-244-0-6.db.shop.svc.cluster.local.",
        "0 50 8080 db-0.db.shop.svc.cluster.local.",
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("web.shop.svc.cluster.local", "AAAA"), ("shop.svc.cluster.local", "A"), ("svc.cluster.local", "A")],
)
def test_a_name_without_such_a_record_is_no_error(ask, name, kind):
    assert ask(name, kind) == EMPTY


@pytest.mark.parametrize(
    "name",
    [
        "absent.shop.svc.cluster.local",
        "web.absent.svc.cluster.local",
        "absent.svc.cluster.local",
        "_ftp._tcp.web.shop.svc.cluster.local",
        "no-address.shop.pod.cluster.local",
        "a.b.c.d.e.cluster.local",
        "9.9.96.10.in-addr.arpa",
    ],
)
def test_a_name_of_nobody_is_said_to_be_so(ask, name):
    assert ask(name) == NOBODY


def test_other_domains_are_refused(ask):
    assert ask("example.com") == ("REFUSED", [], False)


def test_another_name_for_something_outside_is_given_as_that(ask, store):
    service(store, "outside", None, type="ExternalName", externalName="www.example.com")
    assert ask("outside.shop.svc.cluster.local") == (FOUND, ["www.example.com."], False)


def test_a_pod_that_is_not_ready_has_no_name(ask, store):
    service(store, "queue", "None")
    ends(store, "queue", {"addresses": ["10.244.0.9"], "conditions": {"ready": False}})
    assert ask("queue.shop.svc.cluster.local") == NOBODY


def test_an_answer_that_is_too_long_is_truncated_and_whole_by_tcp(store):
    service(store, "many", "None")
    ends(store, "many", *({"addresses": [f"10.244.1.{number}"]} for number in range(200)))
    query = dns.message.make_query("many.shop.svc.cluster.local", "A").to_wire()
    names = Names(store)
    short = dns.message.from_wire(names.answer(query, 1232))
    assert short.flags & dns.flags.TC
    assert short.answer == []
    assert len(dns.message.from_wire(names.answer(query)).answer[0]) == 200


def test_nonsense_is_not_answered(store):
    assert Names(store).answer(b"\0") is None
