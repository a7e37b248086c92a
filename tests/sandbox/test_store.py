"""The store: revisions, conflicts, deletion in its stages, and watches that share one history."""

import asyncio
from contextlib import aclosing

import pytest

from kttun.sandbox.kinds import CONFIG_MAPS, JOBS, NAMESPACES, PODS
from kttun.sandbox.status import StatusError
from kttun.sandbox.store import Store


def config(name="a", **data):
    return {"metadata": {"name": name, "namespace": "shop"}, "data": data}


def pod(**status):
    return {
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"nodeName": "n1", "terminationGracePeriodSeconds": 5},
        "status": status,
    }


def refusal(function, *words, **more):
    with pytest.raises(StatusError) as refused:
        function(*words, **more)
    return refused.value.code, refused.value.message


@pytest.fixture
def store():
    return Store()


def test_a_new_object_gets_what_the_server_gives(store):
    made = store.create(CONFIG_MAPS, config(key="value"))
    meta = made["metadata"]
    assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")
    assert meta["resourceVersion"] == str(store.revision)
    assert len(meta["uid"]) == 36
    assert meta["creationTimestamp"].endswith("Z")
    assert store.get(CONFIG_MAPS, "shop", "a") == made


def test_what_was_given_is_not_what_is_kept(store):
    given = config(key="value")
    store.create(CONFIG_MAPS, given)
    given["data"]["key"] = "other"
    assert store.get(CONFIG_MAPS, "shop", "a")["data"] == {"key": "value"}


def test_a_name_is_generated_and_a_long_one_cut(store):
    made = store.create(CONFIG_MAPS, {"metadata": {"generateName": "x" * 80, "namespace": "shop"}})
    assert len(made["metadata"]["name"]) == 63
    code, message = refusal(store.create, CONFIG_MAPS, {"metadata": {"namespace": "shop"}})
    assert code == 422
    assert "name or generateName is required" in message


def test_a_name_that_is_taken_is_a_conflict(store):
    store.create(CONFIG_MAPS, config())
    assert refusal(store.create, CONFIG_MAPS, config()) == (409, 'configmaps "a" already exists')


def test_a_dry_run_keeps_nothing(store):
    before = store.revision
    store.create(CONFIG_MAPS, config(), dry_run=True)
    assert store.revision == before
    assert refusal(store.get, CONFIG_MAPS, "shop", "a") == (404, 'configmaps "a" not found')


def test_what_was_read_before_a_change_cannot_be_put_back(store):
    old = store.create(CONFIG_MAPS, config(key="old"))
    store.update(CONFIG_MAPS, "shop", "a", lambda found: found["data"].update(key="new"))
    code, message = refusal(store.replace, CONFIG_MAPS, old)
    assert code == 409
    assert message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_another_object_of_the_same_name_is_not_replaced(store):
    made = store.create(CONFIG_MAPS, config())
    code, message = refusal(store.replace, CONFIG_MAPS, made | {"metadata": made["metadata"] | {"uid": "x"}})
    assert code == 409
    assert "UID in precondition: x" in message


def test_nothing_changed_is_no_change(store):
    made = store.create(CONFIG_MAPS, config(key="same"))
    assert store.replace(CONFIG_MAPS, made) == made
    assert store.revision == int(made["metadata"]["resourceVersion"])


def test_a_pod_that_runs_stays_until_it_is_removed(store):
    store.create(PODS, pod(phase="Running"))
    meta = store.delete(PODS, "shop", "p")["metadata"]
    assert meta["deletionGracePeriodSeconds"] == 5
    assert "deletionTimestamp" in store.get(PODS, "shop", "p")["metadata"]
    store.remove(PODS, "shop", "p")
    assert store.find(PODS, "shop", "p") is None


def test_a_second_deletion_may_only_shorten_the_grace(store):
    store.create(PODS, pod(phase="Running"))
    store.delete(PODS, "shop", "p", grace_s=3)
    assert store.delete(PODS, "shop", "p", grace_s=9)["metadata"]["deletionGracePeriodSeconds"] == 3
    assert store.delete(PODS, "shop", "p", grace_s=1)["metadata"]["deletionGracePeriodSeconds"] == 1
    store.delete(PODS, "shop", "p", grace_s=0)
    assert store.find(PODS, "shop", "p") is None


def test_a_pod_that_has_ended_goes_at_once(store):
    store.create(PODS, pod(phase="Failed"))
    store.delete(PODS, "shop", "p")
    assert store.find(PODS, "shop", "p") is None


def test_a_namespace_is_terminating_until_it_is_removed(store):
    store.create(NAMESPACES, {"metadata": {"name": "shop"}})
    assert store.delete(NAMESPACES, "", "shop")["status"]["phase"] == "Terminating"
    assert store.find(NAMESPACES, "", "shop") is not None


def collected(store, act, *, kind=CONFIG_MAPS, count, since=None):
    """Give the first events of a subscription that begins before `act`."""

    async def run():
        found = []
        async with aclosing(store.subscribe(kind, since=since)) as events:
            first = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            act()
            found.append(await first)
            while len(found) < count:
                found.append(await anext(events))
        return [(event.change, event.found["metadata"]["name"]) for event in found]

    return asyncio.run(run())


def test_a_watch_tells_what_is_there_and_then_what_happens(store):
    store.create(CONFIG_MAPS, config("first"))

    def act():
        store.create(CONFIG_MAPS, config("second"))
        store.create(JOBS, {"metadata": {"name": "other", "namespace": "shop"}})
        store.update(CONFIG_MAPS, "shop", "first", lambda found: found.update(data={"x": "y"}))
        store.delete(CONFIG_MAPS, "shop", "second")

    assert collected(store, act, count=4) == [
        ("ADDED", "first"),
        ("ADDED", "second"),
        ("MODIFIED", "first"),
        ("DELETED", "second"),
    ]


def test_a_watch_resumes_after_the_revision_it_names(store):
    store.create(CONFIG_MAPS, config("first"))
    since = store.revision
    store.create(CONFIG_MAPS, config("second"))
    assert collected(store, lambda: None, count=1, since=since) == [("ADDED", "second")]


def test_a_watch_that_fell_out_of_the_history_is_told():
    store = Store(history=2)
    since = store.revision
    for name in "abc":
        store.create(CONFIG_MAPS, config(name))
    with pytest.raises(StatusError) as gone:
        collected(store, lambda: None, count=1, since=since)
    assert (gone.value.code, gone.value.reason) == (410, "Expired")
    assert collected(store, lambda: None, count=1, since=since + 1) == [("ADDED", "b")]
