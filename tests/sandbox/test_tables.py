"""What `kubectl get` prints, as tables of cells."""

import pytest

from kttun.sandbox.kinds import CONFIG_MAPS, DEPLOYMENTS, EVENTS, JOBS, PODS, SERVICES
from kttun.sandbox.tables import age, table, wants_table

MADE = {"name": "x", "creationTimestamp": "2020-01-01T00:00:00Z"}


def cells(kind, **more):
    found = table(kind, [{"metadata": MADE, **more}], {"resourceVersion": "7"})
    (row,) = found["rows"]
    names = [column["name"] for column in found["columnDefinitions"]]
    return dict(zip(names, row["cells"], strict=True))


def pod(*containers, **more):
    spec = {"containers": [{}] * max(1, len(containers))}
    return {"spec": spec, "status": {"phase": "Pending", "containerStatuses": list(containers)}, **more}


@pytest.mark.parametrize(
    ("found", "ready", "state"),
    [
        (pod(), "0/1", "Pending"),
        (pod({"ready": True, "state": {"running": {}}}), "1/1", "Pending"),
        (pod({"state": {"waiting": {"reason": "ErrImagePull"}}}), "0/1", "ErrImagePull"),
        (pod({"state": {"terminated": {"reason": "Error"}}}, {"ready": True}), "1/2", "Error"),
        (pod(metadata=MADE | {"deletionTimestamp": "now"}), "0/1", "Terminating"),
    ],
)
def test_a_pod_shows_how_it_is(found, ready, state):
    shown = cells(PODS, **found)
    assert (shown["Ready"], shown["Status"]) == (ready, state)


@pytest.mark.parametrize(
    ("kind", "found", "shown"),
    [
        (CONFIG_MAPS, {}, {"Name": "x"}),
        (
            SERVICES,
            {"spec": {"type": "ClusterIP", "clusterIP": "10.96.0.1", "ports": [{"port": 53, "protocol": "UDP"}]}},
            {"Type": "ClusterIP", "Cluster-IP": "10.96.0.1", "Port(s)": "53/UDP"},
        ),
        (JOBS, {"spec": {}, "status": {"succeeded": 1}}, {"Status": "Running", "Completions": "1/1"}),
        (DEPLOYMENTS, {"spec": {"replicas": 2}}, {"Ready": "0/2"}),
        (
            EVENTS,
            {"involvedObject": {"kind": "Pod", "name": "p"}, "reason": "Why"},
            {"Object": "pod/p", "Reason": "Why"},
        ),
    ],
)
def test_other_kinds_show_what_counts(kind, found, shown):
    assert shown.items() <= cells(kind, **found).items()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (5, "5s"), (119, "119s"), (120, "2m"), (130, "2m10s"), (600, "10m"), (7200, "2h"), (90_000, "1d1h")],
)
def test_an_age_is_short(seconds, text):
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", True),
        ("application/json", False),
        ("application/json, application/json;as=Table;v=v1;g=meta.k8s.io", False),
        ("", False),
    ],
)
def test_a_table_is_given_to_who_asks_for_it_first(accept, wanted):
    assert wants_table(accept) is wanted
