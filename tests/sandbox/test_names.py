"""Cluster DNS by conversation: question and answer as wire format."""

import dns.flags
import dns.message
import dns.rcode
import pytest

from kttun.sandbox.kinds import ENDPOINTS, NAMESPACES, SERVICES
from kttun.sandbox.names import Names
from kttun.sandbox.store import Store


def service(store, name, address, **spec):
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    meta = {"name": name, "namespace": "shop"}
    store.create(SERVICES, {"metadata": meta, "spec": {"clusterIP": address, "ports": ports, **spec}})


def ends(store, name, *addresses):
    meta = {"name": name, "namespace": "shop"}
    store.create(ENDPOINTS, {"metadata": meta, "subsets": [{"addresses": list(addresses)}]})


@pytest.fixture
def store():
    made = Store()
    made.create(NAMESPACES, {"metadata": {"name": "shop"}})
    service(made, "web", "10.96.0.7")
    service(made, "db", "None")
    ends(made, "db", {"ip": "10.244.0.5", "hostname": "db-0"}, {"ip": "10.244.0.6"})
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
    ("name", "texts"),
    [
        ("web.shop.svc.cluster.local", ["10.96.0.7"]),
        ("WEB.Shop.svc.cluster.local", ["10.96.0.7"]),
        ("db.shop.svc.cluster.local", ["10.244.0.5", "10.244.0.6"]),
        ("db-0.db.shop.svc.cluster.local", ["10.244.0.5"]),
        ("10-244-0-6.db.shop.svc.cluster.local", ["10.244.0.6"]),
        ("10-244-0-6.shop.pod.cluster.local", ["10.244.0.6"]),
    ],
)
def test_what_is_there_is_answered(ask, name, texts):
    assert ask(name) == (FOUND, texts, False)


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
    ],
)
def test_a_name_of_nobody_is_said_to_be_so(ask, name):
    assert ask(name) == NOBODY


@pytest.mark.parametrize("name", ["example.com", "7.0.96.10.in-addr.arpa"])
def test_other_domains_are_refused(ask, name):
    assert ask(name) == ("REFUSED", [], False)


def test_a_headless_service_without_pods_has_no_name(ask, store):
    service(store, "queue", "None")
    ends(store, "queue")
    assert ask("queue.shop.svc.cluster.local") == NOBODY


def test_an_answer_that_is_too_long_is_truncated_and_whole_by_tcp(store):
    service(store, "many", "None")
    ends(store, "many", *({"ip": f"10.244.1.{number}"} for number in range(200)))
    query = dns.message.make_query("many.shop.svc.cluster.local", "A").to_wire()
    names = Names(store)
    short = dns.message.from_wire(names.answer(query, 1232))
    assert short.flags & dns.flags.TC
    assert short.answer == []
    assert len(dns.message.from_wire(names.answer(query)).answer[0]) == 200


def test_nonsense_is_not_answered(store):
    assert Names(store).answer(b"\0") is None
