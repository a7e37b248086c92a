"""The gateway's life against an API server in small, whose watches are scripts."""

import base64
import queue
import signal
import threading

import pytest
from fakes.kube import Refusal, denied

from kttun.cluster import gateway as gateway_module
from kttun.cluster.errors import ApiError, UnauthorizedError
from kttun.cluster.gateway import Gateway, GatewayJob
from kttun.cluster.login import log_in
from kttun.config import ClusterChoice, GatewayChoice
from kttun.errors import EnvironmentFaultError
from kttun.rendezvous import KEY_LINE, GatewaySettings

JOBS = "/apis/batch/v1/namespaces/team/jobs"
JOB = f"{JOBS}/kttun-shop-x1"
SECOND = "kttun-shop-x2"
PODS = "/api/v1/namespaces/team/pods"
EVENTS = "/api/v1/namespaces/team/events"
LOG = f"{PODS}/kttun-shop-x1-y2/log"

KEY = bytes(range(32))
KEY_TEXT = KEY_LINE + base64.b64encode(KEY).decode()
READY = Gateway("kttun-shop-x1", "kttun-shop-x1-y2", "n1", KEY)
SETTINGS = GatewaySettings(bytes(32), bytes(16), 7107, (), (), 60)


def pod(state=None, **status):
    if state is not None:
        status["containerStatuses"] = [{"name": "gateway", "state": state}]
    return {"metadata": {"name": READY.pod}, "spec": {"nodeName": "n1"}, "status": status}


RUNNING = pod({"running": {}})
CREATING = pod({"waiting": {"reason": "ContainerCreating"}})
PULL_FAILED = pod({"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}})
CRASHED = pod({"terminated": {"exitCode": 1, "reason": "Error"}})
UNSCHEDULABLE = pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient cpu"}])


def event(reason, message, about=READY.job):
    return {"type": "Warning", "reason": reason, "message": message, "involvedObject": {"name": about}}


class Script:
    """Watches of a cluster: each is a list of (type, object); the last one then stays open until the test is over."""

    def __init__(self, kube):
        self.over = threading.Event()
        self.progress = []
        self._kube = kube

    def watch(self, path, *watches):
        left = list(watches)

        def answer(_call):
            return self._changes(left.pop(0) if left else [], last=not left)

        self._kube.script["GET", path] = answer

    def _changes(self, changes, *, last):
        for kind, found in changes:
            yield {"type": kind, "object": found}
        if last:
            self.over.wait(60)

    def log(self, *lines, ends=True):
        def answer(call):
            return self._log(lines, ends or "follow" not in call.query)

        self._kube.script["GET", LOG] = answer

    def _log(self, lines, ends):
        yield from lines
        if not ends:
            self.over.wait(60)


@pytest.fixture
def script(kube, monkeypatch):
    """A cluster in which a Job can be made, with nothing to watch and no log."""
    monkeypatch.setattr(gateway_module, "PAUSE_S", 0.0)
    monkeypatch.setattr(gateway_module, "SETTLE_S", 60.0)
    monkeypatch.setattr(gateway_module, "SETTLE_PAUSE_S", 0.0)
    names = iter((READY.job, SECOND, "kttun-shop-x3"))
    monkeypatch.setattr(gateway_module, "job_name", lambda _session: next(names))
    made = Script(kube)
    kube.script["POST", JOBS] = {}
    made.watch(PODS, [])
    made.watch(EVENTS, [])
    yield made
    made.over.set()
    join_watches()


@pytest.fixture
def new_job(kube, write_kubeconfig):
    """A function that prepares a Job with other choices."""

    def make(**choice):
        login = log_in(ClusterChoice(kubeconfig=write_kubeconfig(kube.url)), {})
        return GatewayJob(login, "shop", GatewayChoice(**{"image": "r/i:1", "timeout_s": 60.0, **choice}), SETTINGS)

    return make


@pytest.fixture
def job(script, new_job):
    """A Job that was created."""
    made = new_job()
    made.create()
    return made


def failure(job, script):
    with pytest.raises(EnvironmentFaultError) as caught:
        job.wait(script.progress.append)
    return caught.value


# create, extend, delete


class Store:
    """Jobs of the API server, by name: `made` were there once, `present` are there."""

    def __init__(self, kube):
        self.made, self.present, self.missed = [], set(), threading.Event()
        kube.script["POST", JOBS] = self.create
        for name in (READY.job, SECOND):
            kube.script["DELETE", f"{JOBS}/{name}"] = self.delete

    def create(self, call):
        self.made.append(call.body["metadata"]["name"])
        self.present.add(self.made[-1])
        return {}

    def delete(self, call):
        name = call.path.rpartition("/")[2]
        if name not in self.present:
            self.missed.set()
            raise Refusal(404, f'jobs.batch "{name}" not found', "NotFound")
        self.present.remove(name)
        return {}


TAKEN = Refusal(409, f'jobs.batch "{READY.job}" already exists', "AlreadyExists")


def test_creating_posts_the_manifest_under_the_name_that_is_known_before(script, kube, new_job):
    job = new_job()
    assert job.name is None
    assert job.create() == job.name == "kttun-shop-x1"
    (call,) = kube.asked("POST", JOBS)
    assert call.body["metadata"]["name"] == "kttun-shop-x1"
    assert call.body["spec"]["activeDeadlineSeconds"] == 90


def test_a_name_that_is_taken_is_tried_again_with_another_end(script, kube, new_job):
    store, answers = Store(kube), [TAKEN]
    kube.script["POST", JOBS] = lambda call: answers.pop() if answers else store.create(call)
    job = new_job()
    assert job.create() == job.name == SECOND
    job.delete()
    assert store.made == [SECOND]
    assert kube.asked("DELETE", JOB) == []


def test_a_second_name_that_is_taken_is_an_error_and_nobodys_job_is_deleted(script, kube, new_job):
    kube.script["POST", JOBS] = TAKEN
    job = new_job()
    with pytest.raises(ApiError, match="already exists"):
        job.create()
    job.delete()
    assert [call.method for call in kube.calls] == ["POST", "POST"]


def test_an_interrupted_creation_is_deleted_even_when_the_api_server_comes_to_it_later(script, kube, new_job):
    """The worst order: Ctrl-C while nobody has answered, our deletion finds nothing, and then the Job is made."""
    store = Store(kube)

    def interrupted(call):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        store.missed.wait(60)
        return store.create(call)

    kube.script["POST", JOBS] = interrupted
    job = new_job()
    with pytest.raises(KeyboardInterrupt):
        job.create()
    assert job.name == READY.job
    job.delete()
    assert (store.made, store.present, job.name) == ([READY.job], set(), None)


def test_a_creation_whose_answer_is_lost_is_deleted(script, kube, new_job):
    store = Store(kube)

    def lost(call):
        store.create(call)
        raise Refusal(504, "Timeout: request did not complete within the allotted timeout", "Timeout")

    kube.script["POST", JOBS] = lost
    job = new_job()
    with pytest.raises(ApiError, match="has trouble"):
        job.create()
    job.delete()
    assert (store.made, store.present) == ([READY.job], set())


def test_a_creation_that_never_took_place_is_not_looked_for_without_end(script, kube, new_job, monkeypatch):
    monkeypatch.setattr(gateway_module, "SETTLE_S", 0.0)
    store = Store(kube)
    kube.script["POST", JOBS] = Refusal(500, "etcdserver: leader changed")
    job = new_job()
    with pytest.raises(ApiError):
        job.create()
    job.delete()
    assert store.missed.is_set()
    assert job.name is None


@pytest.mark.parametrize(
    ("refusal", "error"),
    [(denied("create", "jobs", "batch", "team"), ApiError), (Refusal(401, "no"), UnauthorizedError)],
)
def test_a_creation_that_was_refused_leaves_nothing_to_delete(script, kube, new_job, refusal, error):
    kube.script["POST", JOBS] = refusal
    job = new_job()
    with pytest.raises(error):
        job.create()
    job.delete()
    assert {call.method for call in kube.calls} == {"POST"}


def test_a_job_that_may_not_be_made_names_the_right(script, kube, new_job):
    kube.script["POST", JOBS] = denied("create", "jobs", "batch", "team")
    with pytest.raises(ApiError, match=r"cannot create the gateway: jane may not create jobs\.batch in namespace team"):
        new_job().create()


def test_extending_gives_the_full_age(kube, job, script, new_job):
    kube.script["PATCH", JOB] = {}
    job.extend()
    (call,) = kube.asked("PATCH", JOB)
    assert call.body == {"spec": {"activeDeadlineSeconds": 86400}}


def test_deleting_takes_the_pod_along_and_is_done_once(kube, job):
    kube.script["DELETE", JOB] = {}
    job.delete()
    job.delete()
    (call,) = kube.asked("DELETE", JOB)
    assert call.body == {"propagationPolicy": "Background", "gracePeriodSeconds": 0}


def test_a_job_that_is_gone_already_is_deleted(kube, job):
    kube.script["DELETE", JOB] = Refusal(404, 'jobs.batch "kttun-shop-x1" not found', "NotFound")
    job.delete()
    assert job.name is None


def test_a_job_that_was_never_made_is_not_deleted(kube, script, new_job):
    new_job().delete()
    assert kube.calls == []


def test_a_job_that_could_not_be_deleted_is_told_and_may_be_deleted_again(kube, job):
    kube.script["DELETE", JOB] = Refusal(500, "etcd is away")
    with pytest.raises(ApiError, match="cannot delete the gateway"):
        job.delete()
    kube.script["DELETE", JOB] = {}
    job.delete()
    assert len(kube.asked("DELETE", JOB)) == 2


# wait


def test_the_gateway_is_ready_when_its_key_is_in_its_log(kube, script, job):
    script.watch(PODS, [("ADDED", pod()), ("MODIFIED", UNSCHEDULABLE), ("MODIFIED", CREATING), ("MODIFIED", RUNNING)])
    script.log("a warning of Python's", KEY_TEXT, "client connected", ends=False)
    assert job.wait(script.progress.append) == READY
    assert script.progress == [
        "the pod is starting",
        "not scheduled: 0/1 nodes: Insufficient cpu",
        "the image is being pulled",
    ]
    assert kube.asked("GET", PODS)[0].query["labelSelector"] == "job-name=kttun-shop-x1"
    assert kube.asked("GET", LOG)[0].query == {"container": "gateway", "follow": "true"}


def test_what_stays_the_same_is_told_once(script, job):
    script.watch(PODS, [("ADDED", CREATING), *[("MODIFIED", CREATING)] * 5, ("MODIFIED", RUNNING)])
    script.log(KEY_TEXT)
    job.wait(script.progress.append)
    assert script.progress == ["the image is being pulled"]


def test_an_image_that_cannot_be_pulled_ends_the_wait(script, job):
    script.watch(PODS, [("ADDED", CREATING), ("MODIFIED", PULL_FAILED)])
    assert "cannot pull the gateway image r/i:1: manifest unknown" in failure(job, script).message


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ('pods "kttun-shop-x1-" is forbidden: exceeded quota: q', "quota"),
        ('pods "kttun-shop-x1-" is forbidden: violates PodSecurity "baseline:latest"', "Pod Security"),
    ],
)
def test_a_pod_that_is_not_admitted_is_told_by_an_event(script, job, message, hint):
    script.watch(EVENTS, [("ADDED", event("FailedCreate", message))])
    error = failure(job, script)
    assert error.message == f"the namespace refuses the gateway pod: {message}"
    assert hint in error.hints[0]


def test_events_of_others_are_nothing_to_us(kube, script, job):
    others = ("kttun-shop-x12", "kttun-shop-x", "web", "", None)
    refused = [("ADDED", event("FailedCreate", "quota", about)) for about in others]
    gone = [("DELETED", event("FailedCreate", "quota")), ("ADDED", {"reason": "FailedCreate", "type": "Warning"})]
    ours = [("ADDED", event("FailedMount", "no such volume", READY.pod))]
    script.watch(EVENTS, refused + gone + ours)
    script.log(KEY_TEXT)
    told = queue.SimpleQueue()

    def pods(_call):
        assert told.get(timeout=60) == "FailedMount: no such volume"
        yield {"type": "ADDED", "object": RUNNING}
        script.over.wait(60)

    kube.script["GET", PODS] = pods
    assert job.wait(told.put) == READY
    assert told.empty()


def test_a_pod_that_finds_no_node_in_time_is_told_with_the_reason(script, new_job):
    job = new_job(timeout_s=0.5)
    job.create()
    script.watch(PODS, [("ADDED", UNSCHEDULABLE)])
    error = failure(job, script)
    assert error.message == "the gateway did not start within 0.5 s: not scheduled: 0/1 nodes: Insufficient cpu"
    assert "kubectl -n team describe job kttun-shop-x1" in error.hints
    assert any("--gateway-timeout" in hint for hint in error.hints)


def test_no_pod_in_time_is_told_as_that(script, new_job):
    job = new_job(timeout_s=0.1)
    job.create()
    assert failure(job, script).message == "the gateway did not start within 0.1 s: no pod has appeared"


def test_a_gateway_that_crashed_says_why_in_its_last_lines(kube, script, job):
    script.watch(PODS, [("ADDED", CRASHED)])
    script.log(KEY_TEXT, "kttun-gateway: nft refused the gateway's rules", "  ", "hint: use another image")
    error = failure(job, script)
    assert error.message == "the gateway ended with exit code 1: Error"
    assert error.hints[:2] == (
        "its log says: kttun-gateway: nft refused the gateway's rules",
        "its log says: hint: use another image",
    )
    assert kube.asked("GET", LOG)[0].query == {"container": "gateway", "tailLines": "3"}


def test_a_crash_without_a_log_is_told_without_one(script, job):
    script.watch(PODS, [("ADDED", CRASHED)])
    error = failure(job, script)
    assert error.message == "the gateway ended with exit code 1: Error"
    assert error.hints == ()


def test_a_gateway_that_ends_before_its_key_is_told_with_its_log(script, job):
    script.watch(PODS, [("ADDED", RUNNING)])
    script.log("kttun-gateway: no right to make a TUN device")
    error = failure(job, script)
    assert "without telling its key" in error.message
    assert error.hints[0] == "its log says: kttun-gateway: no right to make a TUN device"
    assert "--image" in error.hints[1]


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "\u00fc" * 44, base64.b64encode(bytes(33)).decode()])
def test_a_key_that_is_none_is_told(script, job, text):
    script.watch(PODS, [("ADDED", RUNNING)])
    script.log(KEY_LINE + text)
    assert failure(job, script).message == "what the gateway's log gives as its key is none"


def test_an_image_that_chatters_for_ever_is_given_up(script, job):
    script.watch(PODS, [("ADDED", RUNNING)])
    script.log(*["GET / 200"] * (gateway_module.MOST_LINES + 1), ends=False)
    error = failure(job, script)
    assert "without telling its key" in error.message
    assert "--image" in error.hints[-1]


def test_an_image_that_says_nothing_is_given_up_and_not_taken_for_a_lost_cluster(script, job, monkeypatch):
    script.watch(PODS, [("ADDED", RUNNING)])
    script.log(ends=False)
    real = job._rest.lines
    monkeypatch.setattr(job._rest, "lines", lambda path, timeout_s, **query: real(path, timeout_s=0.05, **query))
    assert "without telling its key" in failure(job, script).message


def test_a_slow_chatterer_is_given_up_when_the_time_is_over(script, job, monkeypatch):
    script.watch(PODS, [("ADDED", RUNNING)])
    lines = iter(["one", "two"])

    def late(*_arguments, **_query):
        monkeypatch.setattr(gateway_module.time, "monotonic", lambda: 1e12)
        yield from lines

    monkeypatch.setattr(job._rest, "lines", late)
    assert "without telling its key" in failure(job, script).message
    assert list(lines) == ["two"]


def test_a_log_that_may_not_be_read_names_the_right(kube, script, job):
    script.watch(PODS, [("ADDED", RUNNING)])
    kube.script["GET", LOG] = denied("get", "pods/log", namespace="team")
    assert failure(job, script).message == (
        "cannot read the gateway's log: jane may not get pods/log in namespace team"
    )


def test_without_the_right_to_events_only_the_reasons_are_poorer(kube, script, job):
    kube.script["GET", EVENTS] = denied("watch", "events", namespace="team")
    script.watch(PODS, [("ADDED", CREATING), ("MODIFIED", RUNNING)])
    script.log(KEY_TEXT)
    assert job.wait(script.progress.append) == READY


def test_without_the_right_to_pods_there_is_no_way(kube, script, job):
    kube.script["GET", PODS] = denied("watch", "pods", namespace="team")
    assert failure(job, script).message == "cannot watch pods: jane may not watch pods in namespace team"


def test_a_watch_that_ends_is_begun_again(kube, script, job):
    script.watch(PODS, [("ADDED", CREATING)], [], [("ADDED", CREATING), ("MODIFIED", RUNNING)])
    script.log(KEY_TEXT)
    assert job.wait(script.progress.append) == READY
    assert len(kube.asked("GET", PODS)) == 3


def test_a_watch_that_the_server_breaks_off_is_begun_again(kube, script, job):
    """Its last object is a Status, whose `status` is a word: "Failure"."""
    expired = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired"}
    script.watch(PODS, [("ERROR", expired), ("ADDED", PULL_FAILED)], [("ADDED", RUNNING)])
    script.watch(EVENTS, [("ERROR", expired)], [])
    script.log(KEY_TEXT)
    assert job.wait(script.progress.append) == READY


def test_a_pod_that_somebody_deletes_ends_the_wait(script, job):
    script.watch(PODS, [("ADDED", CREATING), ("DELETED", CREATING)])
    assert failure(job, script).message == "the gateway pod was deleted before it was ready"


@pytest.mark.parametrize("path", [PODS, EVENTS])
def test_a_bug_in_a_watch_reaches_the_main_thread(kube, script, job, path):
    kube.script["GET", path] = lambda _call: iter([{"no": "type"}])
    with pytest.raises(KeyError):
        job.wait(script.progress.append)


def join_watches():
    for thread in threading.enumerate():
        if thread.name.startswith("kttun-watch"):
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.parametrize("more", [0, 1])
def test_watches_that_are_no_longer_needed_are_not_begun_again(kube, script, job, more):
    """Neither when their stream ends nor when it brings another change."""

    def pods(_call):
        yield {"type": "ADDED", "object": RUNNING}
        script.over.wait(60)
        yield from [{"type": "MODIFIED", "object": RUNNING}] * more

    kube.script["GET", PODS] = pods
    script.log(KEY_TEXT)
    assert job.wait(script.progress.append) == READY
    script.over.set()
    join_watches()
    assert len(kube.asked("GET", PODS)) == 1
