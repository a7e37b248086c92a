"""REST over a real server: pages, patches, logs, and streams that are cut anywhere."""

import json
import threading
from itertools import pairwise

import pytest
from fakes.kube import Refusal
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import ApiException
from urllib3.exceptions import ReadTimeoutError

from kttun.cluster.login import log_in
from kttun.cluster.rest import PAGE, Rest, _lines
from kttun.config import ClusterChoice

PODS = "/api/v1/namespaces/team/pods"
LOG = f"{PODS}/web/log"


@pytest.fixture
def rest(kube, write_kubeconfig):
    return Rest(log_in(ClusterChoice(kubeconfig=write_kubeconfig(kube.url)), {}).api)


def test_an_object_is_a_plain_dictionary(kube, rest):
    kube.script["GET", f"{PODS}/web"] = {"kind": "Pod", "of a later version": {"x": 1}}
    assert rest.get(f"{PODS}/web") == {"kind": "Pod", "of a later version": {"x": 1}}


def test_what_is_asked_with_it_is_escaped(kube, rest):
    kube.script["GET", PODS] = {}
    rest.get(PODS, labelSelector="a=b,c in (d, e)", limit=7)
    assert kube.calls[0].query == {"labelSelector": "a=b,c in (d, e)", "limit": "7"}


def test_what_is_no_object_is_empty(kube, rest):
    kube.script["GET", PODS] = b"[1]"
    assert rest.get(PODS) == {}


def test_a_list_is_read_page_by_page_and_no_page_too_many(kube, rest):
    pages = {
        None: {"items": [1, 2], "metadata": {"continue": "a"}},
        "a": {"items": [], "metadata": {"continue": "b/+ ="}},
        "b/+ =": {"items": None, "metadata": {"continue": "c"}},
        "c": {"items": [3], "metadata": {}},
    }
    kube.script["GET", PODS] = lambda call: pages[call.query.get("continue")]
    assert list(rest.items(PODS, fieldSelector="x")) == [1, 2, 3]
    assert [call.query.get("continue") for call in kube.calls] == list(pages)
    assert {(call.query["limit"], call.query["fieldSelector"]) for call in kube.calls} == {(str(PAGE), "x")}


def test_pages_are_asked_for_only_when_they_are_needed(kube, rest):
    kube.script["GET", PODS] = {"items": [1], "metadata": {"continue": "more"}}
    assert next(rest.items(PODS)) == 1
    assert len(kube.calls) == 1


@pytest.mark.parametrize("page", [{}, {"items": [], "metadata": None}, {"items": [], "metadata": {"continue": ""}}])
def test_an_empty_list_is_empty(kube, rest, page):
    kube.script["GET", PODS] = page
    assert list(rest.items(PODS)) == []


@pytest.mark.parametrize(
    ("method", "act", "kind", "query"),
    [
        ("POST", lambda rest: rest.create(PODS, {"a": None}, dryRun="All"), "application/json", {"dryRun": "All"}),
        ("PATCH", lambda rest: rest.patch(PODS, {"a": None}), "application/merge-patch+json", {}),
        ("DELETE", lambda rest: rest.delete(PODS, {"a": None}), "application/json", {}),
    ],
)
def test_a_body_arrives_as_it_was_with_its_kind(kube, rest, method, act, kind, query):
    """A null in a merge patch removes a key (RFC 7386), so none may get lost on the way."""
    kube.script[method, PODS] = {"done": True}
    assert act(rest) == {"done": True}
    (call,) = kube.calls
    assert (call.method, call.body, call.query) == (method, {"a": None}, query)
    assert (call.headers["Content-Type"], call.headers["Accept"]) == (kind, "application/json")


@pytest.mark.parametrize(
    "act",
    [
        lambda rest: rest.get(PODS),
        lambda rest: rest.text(PODS),
        lambda rest: list(rest.items(PODS)),
        lambda rest: list(rest.lines(PODS, timeout_s=30)),
        lambda rest: list(rest.watch(PODS, timeout_s=30)),
    ],
)
def test_a_refusal_passes_through_as_the_clients_own_error(kube, rest, act):
    kube.script["GET", PODS] = Refusal(403, "no", "Forbidden")
    with pytest.raises(ApiException) as caught:
        act(rest)
    assert caught.value.status == 403
    assert json.loads(caught.value.body)["message"] == "no"


def test_a_log_is_text_whatever_bytes_it_holds(kube, rest):
    kube.script["GET", LOG] = b"one\n\xff two"
    assert rest.text(LOG, tailLines=3) == "one\n\ufffd two"
    assert kube.calls[0].query == {"tailLines": "3"}


def test_lines_of_a_followed_log_come_before_it_ends(kube, rest):
    gate = threading.Event()

    def log():
        yield "first"
        assert gate.wait(60)
        yield "second\n\nthird"

    kube.script["GET", LOG] = lambda _call: log()
    lines = rest.lines(LOG, timeout_s=60, follow="true")
    assert next(lines) == "first"
    gate.set()
    assert list(lines) == ["second", "third"]
    assert kube.calls[0].query == {"follow": "true"}


def test_a_log_without_end_may_be_left(kube, rest):
    def log():
        n = 0
        while True:
            yield f"line {n}"
            n += 1

    kube.script["GET", LOG] = lambda _call: log()
    lines = rest.lines(LOG, timeout_s=60)
    assert [next(lines), next(lines)] == ["line 0", "line 1"]
    lines.close()
    kube.script["GET", PODS] = {"still": "works"}
    assert rest.get(PODS) == {"still": "works"}


def test_silence_in_a_followed_log_ends_in_the_clients_own_error(kube, rest):
    gate = threading.Event()

    def log():
        yield "first"
        gate.wait(60)

    kube.script["GET", LOG] = lambda _call: log()
    lines = rest.lines(LOG, timeout_s=0.05)
    assert next(lines) == "first"
    with pytest.raises(ReadTimeoutError):
        next(lines)
    gate.set()


def test_a_watch_gives_changes_in_their_order_and_ends_with_the_stream(kube, rest):
    changes = [("ADDED", {"n": 1}), ("MODIFIED", {"n": 2, "text": "\u00e9\n"}), ("DELETED", {"n": 2})]
    kube.script["GET", PODS] = lambda _call: iter([{"type": kind, "object": found} for kind, found in changes])
    assert list(rest.watch(PODS, timeout_s=30.4, labelSelector="x")) == changes
    assert kube.calls[0].query == {"watch": "true", "timeoutSeconds": "30", "labelSelector": "x"}


def test_a_watch_lasts_a_second_at_least(kube, rest):
    """timeoutSeconds=0 would leave it to the server, for half an hour or more."""
    kube.script["GET", PODS] = lambda _call: iter([])
    assert list(rest.watch(PODS, timeout_s=0.2)) == []
    assert kube.calls[0].query["timeoutSeconds"] == "1"


class Stream:
    """A response that is cut into chunks."""

    def __init__(self, chunks):
        self.chunks = chunks

    def stream(self, amt):
        assert amt is None  # a chunk as it came: a number would wait until so much is there
        yield from self.chunks


@given(st.lists(st.binary(min_size=1, max_size=20).filter(lambda line: b"\n" not in line)), st.data())
def test_lines_are_found_wherever_the_stream_is_cut(lines, data):
    whole = b"".join(line + b"\n" for line in lines)
    if data.draw(st.booleans()):
        whole = whole.rstrip(b"\n")  # a last line without its end
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    edges = [0, *cuts, len(whole)]
    chunks = [whole[start:end] for start, end in pairwise(edges)]
    assert list(_lines(Stream(chunks))) == lines
