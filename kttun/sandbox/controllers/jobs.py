"""The Job controller, and the one that removes finished Jobs (Kubernetes "Jobs", "Automatic Cleanup")."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from kttun.sandbox.controllers.loop import owned, pod_of
from kttun.sandbox.events import Recorder
from kttun.sandbox.kinds import JOBS, PODS
from kttun.sandbox.status import StatusError
from kttun.sandbox.store import FINISHED, timestamp

if TYPE_CHECKING:
    from kttun.sandbox.controllers.loop import Creator
    from kttun.sandbox.store import Object, Store

RETRY_S = 1.0
"""After the API has refused a pod."""

DEADLINE = ("DeadlineExceeded", "Job was active longer than specified deadline")
BACKOFF = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")


class JobController:
    """Runs one pod at a time for each Job until one succeeds, too many fail, or its deadline passes."""

    kinds = (JOBS, PODS)

    def __init__(self, store: Store, create: Creator) -> None:
        self._store = store
        self._create = create
        self._recorder = Recorder(store, "job-controller")
        self._lost: dict[str, set[str]] = {}
        """Pods that a Job has had, by its uid: one that is deleted has failed too."""

    def sync(self) -> float | None:
        """Bring each Job one step further."""
        jobs, pods = self._store.list(JOBS), self._store.list(PODS)
        uids = {job["metadata"]["uid"] for job in jobs}
        self._lost = {uid: had for uid, had in self._lost.items() if uid in uids}
        waits = [self._bring_on(job, owned(pods, job)) for job in jobs if "deletionTimestamp" not in job["metadata"]]
        return min((wait for wait in waits if wait is not None), default=None)

    def _bring_on(self, job: Object, pods: list[Object]) -> float | None:
        if finished := finish_time(job):
            return self._forget(job, finished)
        had = self._lost.setdefault(job["metadata"]["uid"], set())
        had |= {pod["metadata"]["uid"] for pod in pods}
        active = [pod for pod in pods if _phase(pod) not in FINISHED]
        succeeded = sum(_phase(pod) == "Succeeded" for pod in pods)
        failed = len(had) - len(active) - succeeded
        left = self._seconds_left(job)
        wait, outcome = left, None
        if succeeded:
            outcome = ("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        elif left is not None and left <= 0:
            wait, outcome = None, ("Failed", *DEADLINE)
        elif failed > job["spec"]["backoffLimit"]:
            outcome = ("Failed", *BACKOFF)
        elif not active:
            wait = self._start_pod(job, wait)
        if outcome and outcome[0] == "Failed":
            for pod in active:
                self._store.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._report(job, active, succeeded, failed, outcome)
        return wait

    def _start_pod(self, job: Object, wait: float | None) -> float | None:
        meta = job["metadata"]
        try:
            made = self._create(PODS, pod_of(JOBS, job, f"{meta['name']}-"))
        except StatusError as error:
            self._recorder.warning(JOBS, job, "FailedCreate", f"Error creating: {error.message}")
            return min(RETRY_S, wait) if wait is not None else RETRY_S
        self._lost[meta["uid"]].add(made["metadata"]["uid"])
        self._recorder.normal(JOBS, job, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        return wait

    def _report(
        self, job: Object, active: list[Object], succeeded: int, failed: int, outcome: tuple[str, str, str] | None
    ) -> None:
        def change(made: Object) -> None:
            status: dict[str, Any] = made.setdefault("status", {})
            status.setdefault("startTime", timestamp())
            for name, count in (("active", len(active)), ("succeeded", succeeded), ("failed", failed)):
                status.pop(name, None)
                if count:
                    status[name] = count
            conditions = status.get("conditions") or []
            if outcome is None:
                return
            kind, reason, message = outcome
            now = timestamp()
            condition = {"type": kind, "status": "True", "reason": reason, "message": message}
            status["conditions"] = [*conditions, condition | {"lastProbeTime": now, "lastTransitionTime": now}]
            if kind == "Complete":
                status["completionTime"] = now

        self._store.update(JOBS, job["metadata"]["namespace"], job["metadata"]["name"], change)
        if outcome and outcome[0] == "Failed":
            self._recorder.warning(JOBS, job, outcome[1], outcome[2])

    def _seconds_left(self, job: Object) -> float | None:
        seconds = job["spec"].get("activeDeadlineSeconds")
        began = (job.get("status") or {}).get("startTime") or timestamp()
        return None if seconds is None else seconds - _seconds_since(began)

    def _forget(self, job: Object, finished: str) -> float | None:
        """Delete a finished Job when its time to live is over, or say when."""
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is None:
            return None
        left: float = ttl - _seconds_since(finished)
        if left > 0:
            return left
        self._store.delete(JOBS, job["metadata"]["namespace"], job["metadata"]["name"])
        return None


def finish_time(job: Object) -> str | None:
    """Give when a Job was complete or had failed, None while it goes on."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return next((each["lastTransitionTime"] for each in conditions if each["type"] in {"Complete", "Failed"}), None)


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _seconds_since(time: str) -> float:
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(time)).total_seconds()
