"""Jobs: one pod, its end, deadlines, time to live, and pods that are refused."""

import pytest

from kttun.sandbox.controllers.jobs import JobController, finish_time
from kttun.sandbox.kinds import EVENTS, JOBS, PODS, QUOTAS

LONG_AGO = "2020-01-01T00:00:00Z"
RUNNING = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "demo:1"}]}


@pytest.fixture
def jobs(cluster):
    return JobController(cluster.store, cluster.create)


@pytest.fixture
def job(cluster):
    def make(**spec):
        template = {"metadata": {"labels": {"app": "demo"}}, "spec": RUNNING}
        meta = {"name": "demo", "namespace": "shop"}
        return cluster.create(JOBS, {"metadata": meta, "spec": {"backoffLimit": 0, "template": template, **spec}})

    return make


def status(cluster):
    return cluster.store.get(JOBS, "shop", "demo")["status"]


def conditions(cluster):
    return [(each["type"], each["reason"]) for each in status(cluster).get("conditions", ())]


def began_long_ago(cluster):
    cluster.store.update(JOBS, "shop", "demo", lambda made: made["status"].update(startTime=LONG_AGO))


def test_a_job_has_one_pod_that_is_its_own_and_carries_its_name(cluster, jobs, job):
    made = job()
    jobs.sync()
    jobs.sync()
    (pod,) = cluster.pods()
    assert pod["metadata"]["name"].startswith("demo-")
    assert pod["metadata"]["labels"]["job-name"] == "demo"
    assert [(ref["kind"], ref["uid"]) for ref in pod["metadata"]["ownerReferences"]] == [
        ("Job", made["metadata"]["uid"])
    ]
    assert status(cluster)["active"] == 1


def test_a_pod_that_succeeds_completes_the_job(cluster, jobs, job):
    job()
    jobs.sync()
    cluster.play(cluster.pods()[0], "Succeeded")
    jobs.sync()
    assert conditions(cluster) == [("Complete", "CompletionsReached")]
    assert (status(cluster)["succeeded"], "active" in status(cluster)) == (1, False)


def test_as_many_pods_may_fail_as_the_limit_says(cluster, jobs, job):
    job(backoffLimit=1)
    for failed in range(2):
        jobs.sync()
        assert finish_time(cluster.store.get(JOBS, "shop", "demo")) is None
        assert len(cluster.pods()) == failed + 1
        cluster.play(cluster.pods()[-1], "Failed")
        for each in cluster.pods():
            cluster.play(each, "Failed")
    jobs.sync()
    assert conditions(cluster) == [("Failed", "BackoffLimitExceeded")]
    assert len(cluster.pods()) == 2


def test_a_pod_that_somebody_deletes_has_failed(cluster, jobs, job):
    job()
    jobs.sync()
    cluster.store.remove(PODS, "shop", cluster.pods()[0]["metadata"]["name"])
    jobs.sync()
    assert conditions(cluster) == [("Failed", "BackoffLimitExceeded")]
    assert cluster.pods() == []


def test_the_deadline_ends_the_pod_and_the_job(cluster, jobs, job):
    job(activeDeadlineSeconds=60)
    assert 0 < jobs.sync() <= 60
    pod = cluster.play(cluster.pods()[0], "Running")
    began_long_ago(cluster)
    jobs.sync()
    assert conditions(cluster) == [("Failed", "DeadlineExceeded")]
    assert "deletionTimestamp" in cluster.store.get(PODS, "shop", pod["metadata"]["name"])["metadata"]


def test_a_deadline_that_is_moved_counts_anew(cluster, jobs, job):
    job(activeDeadlineSeconds=60)
    jobs.sync()
    cluster.store.update(JOBS, "shop", "demo", lambda made: made["spec"].update(activeDeadlineSeconds=10**9))
    began_long_ago(cluster)
    assert jobs.sync() > 60
    assert conditions(cluster) == []


def test_a_finished_job_is_deleted_when_its_time_is_over(cluster, jobs, job):
    job(ttlSecondsAfterFinished=3600)
    jobs.sync()
    cluster.play(cluster.pods()[0], "Succeeded")
    jobs.sync()
    assert 3500 < jobs.sync() <= 3600

    def finished_long_ago(made):
        made["status"]["conditions"][0]["lastTransitionTime"] = LONG_AGO

    cluster.store.update(JOBS, "shop", "demo", finished_long_ago)
    assert jobs.sync() is None
    assert cluster.names(JOBS) == []


def test_a_pod_that_is_refused_is_an_event_with_the_refusal(cluster, jobs, job):
    cluster.create(QUOTAS, {"metadata": {"name": "none", "namespace": "shop"}, "spec": {"hard": {"pods": "0"}}})
    job()
    assert jobs.sync() == pytest.approx(1.0)
    (event,) = cluster.store.list(EVENTS, "shop")
    assert (event["reason"], event["type"]) == ("FailedCreate", "Warning")
    assert event["message"].startswith("Error creating: pods")
    assert "exceeded quota: none" in event["message"]
