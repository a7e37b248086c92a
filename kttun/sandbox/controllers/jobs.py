"""The Job controller, and the one that removes finished Jobs (Kubernetes "Jobs", "Automatic Cleanup")."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from kttun.sandbox.controllers.loop import RETRY_S, owned, pod_of
from kttun.sandbox.events import warn
from kttun.sandbox.kinds import JOBS, PODS
from kttun.sandbox.status import StatusError
from kttun.sandbox.store import FINISHED, timestamp

if TYPE_CHECKING:
    from kttun.sandbox.controllers.loop import Creator
    from kttun.sandbox.store import Object, Store

    Outcome = tuple[str, str, str]

COMPLETE = ("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
DEADLINE = ("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
BACKOFF = ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")


class JobController:
    """Runs one pod at a time for each Job until one succeeds, too many fail, or its deadline passes."""

    kinds = (JOBS, PODS)

    def __init__(self, store: Store, create: Creator) -> None:
        self._store = store
        self._create = create
        self._had: dict[str, set[str]] = {}
        """Pods that a Job has had, by its uid: one that is deleted has failed too."""

    def sync(self) -> float | None:
        """Bring each Job one step further."""
        jobs, pods = self._store.list(JOBS), self._store.list(PODS)
        uids = {job["metadata"]["uid"] for job in jobs}
        self._had = {uid: had for uid, had in self._had.items() if uid in uids}
        return min(filter(None, (self._bring_on(job, owned(pods, job)) for job in jobs)), default=None)

    def _bring_on(self, job: Object, pods: list[Object]) -> float | None:
        """Give in how many seconds it wants to be looked at again, if at all."""
        if finished := finish_time(job):
            return self._forget(job, finished)
        had = self._had.setdefault(job["metadata"]["uid"], set())
        had |= {pod["metadata"]["uid"] for pod in pods}
        active = [pod for pod in pods if _phase(pod) not in FINISHED]
        succeeded = sum(_phase(pod) == "Succeeded" for pod in pods)
        failed = len(had) - len(active) - succeeded
        left, outcome = _seconds_left(job), None
        if succeeded:
            outcome = COMPLETE
        elif left is not None and left <= 0:
            outcome = DEADLINE
        elif failed > job["spec"]["backoffLimit"]:
            outcome = BACKOFF
        elif not active and not self._start_pod(job):
            left = RETRY_S
        if outcome and not succeeded:
            for pod in active:
                self._store.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
            warn(self._store, JOBS, job, *outcome[1:])
        counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
        self._report(job, {name: count for name, count in counts.items() if count}, outcome)
        return None if outcome else left

    def _start_pod(self, job: Object) -> bool:
        try:
            made = self._create(PODS, pod_of(JOBS, job))
        except StatusError as error:
            warn(self._store, JOBS, job, "FailedCreate", f"Error creating: {error.message}")
            return False
        self._had[job["metadata"]["uid"]].add(made["metadata"]["uid"])
        return True

    def _report(self, job: Object, counts: dict[str, int], outcome: Outcome | None) -> None:
        status: dict[str, Any] = {"startTime": job["status"].get("startTime") or timestamp(), **counts}
        if outcome:
            kind, reason, message = outcome
            condition = {"type": kind, "status": "True", "reason": reason, "message": message}
            status["conditions"] = [condition | {"lastTransitionTime": timestamp()}]
        meta = job["metadata"]
        self._store.update(JOBS, meta["namespace"], meta["name"], lambda made: made.update(status=status))

    def _forget(self, job: Object, finished: str) -> float | None:
        """Delete a finished Job when its time to live is over, or say when."""
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is None:
            return None
        left: float = ttl - _seconds_since(finished)
        if left <= 0:
            self._store.delete(JOBS, job["metadata"]["namespace"], job["metadata"]["name"])
        return left if left > 0 else None


def finish_time(job: Object) -> str | None:
    """Give when a Job was complete or had failed, None while it goes on."""
    return next((each["lastTransitionTime"] for each in job["status"].get("conditions") or ()), None)


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _seconds_left(job: Object) -> float | None:
    seconds = job["spec"].get("activeDeadlineSeconds")
    return None if seconds is None else seconds - _seconds_since(job["status"].get("startTime") or timestamp())


def _seconds_since(time: str) -> float:
    return (dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(time)).total_seconds()
