"""The gateway's life in the cluster: made as a Job, watched until its key is in its log, extended, deleted.

The key's line is printed when everything in the pod is ready, so nothing else has to be waited for. Two watches run
while waiting: the pod (image, scheduling, crash) and the events of our objects (quota, Pod Security: then there is no
pod to watch). Whatever they say ends in one error with the cluster's own text.

The Job's name is ours, so it can be deleted even when nobody heard the answer to its creation: a signal cut the wait
off, or time ran out. Nothing tells then whether the API server has yet to come to the request, so `delete` goes on
until it has found the Job, or `SETTLE_S` have passed. By then the connection of the request is closed, which makes an
API server drop what it has not begun. What slips through nevertheless, from a laptop that lost its network or its
power, ends by the Job's own short deadline.
"""

from __future__ import annotations

import base64
import queue
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

from kttun.cluster.errors import ApiError, UnauthorizedError, mapped
from kttun.cluster.manifest import CONTAINER, gateway_job, job_name
from kttun.cluster.rest import Rest
from kttun.cluster.verdict import Progress, Ready, judge_event, judge_pod
from kttun.errors import EnvironmentFaultError, KttunError
from kttun.rendezvous import KEY_LINE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from kttun.cluster.login import Login
    from kttun.config import GatewayChoice
    from kttun.rendezvous import GatewaySettings

    _Change = tuple[str, dict[str, Any]]

SLICE_S = 0.25
PAUSE_S = 0.2
"""Between two watches: one that ends at once shall not become a storm of requests."""
SETTLE_S = 2.0
"""How long a Job is looked for whose creation nobody heard the end of, seconds: many times what a write takes."""
SETTLE_PAUSE_S = 0.2
MOST_LINES = 100
"""Lines that may come before the key; an interpreter's warnings are a few, another image's chatter has no end."""

_KEY_SIZE = 32
_WRONG_IMAGE = "does --image name a kttun gateway of this version?"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that is ready: where it runs and how to know it."""

    job: str
    pod: str
    node: str
    public_key: bytes
    """The gateway's X25519 public key, 32 bytes."""


class _Existence(Enum):
    """What is known of the Job in the cluster."""

    NONE = auto()
    UNHEARD = auto()
    """Its creation was asked for, and no answer has come."""
    MADE = auto()


class GatewayJob:
    """One Job of ours in the namespace; `create` first, `delete` last, whatever happens between.

    `name` is set before the Job is asked for, and None when there is none.
    """

    def __init__(self, login: Login, session: str, choice: GatewayChoice, settings: GatewaySettings) -> None:
        self._login = login
        self._rest = Rest(login.api)
        self._choice = choice
        self._session = session
        self._settings = settings
        self._existence = _Existence.NONE
        self._jobs = f"/apis/batch/v1/namespaces/{login.namespace}/jobs"
        self._core = f"/api/v1/namespaces/{login.namespace}"
        self.name: str | None = None

    def create(self) -> str:
        """Make the Job; give its name. Raises `EnvironmentFaultError`.

        Whatever this raises or is interrupted by, `delete` is right afterwards. A name that is taken is tried again
        with another end, once; the Job that has it is left alone, it may be somebody else's.
        """
        try:
            return self._create()
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        return self._create()

    def _create(self) -> str:
        self.name = name = job_name(self._session)
        manifest = gateway_job(name, self._session, self._choice, self._settings)
        self._existence = _Existence.UNHEARD
        try:
            with mapped("create the gateway", verb="create", resource="jobs.batch", namespace=self._login.namespace):
                self._rest.create(self._jobs, manifest)
        except (ApiError, UnauthorizedError) as error:
            # A server error may be a time-out on the way to the store: that is no answer to our question.
            if not (isinstance(error, ApiError) and error.status >= HTTPStatus.INTERNAL_SERVER_ERROR):
                self._forget()
            raise
        self._existence = _Existence.MADE
        return name

    def wait(self, progress: Callable[[str], None]) -> Gateway:
        """Wait until the gateway is ready, `--gateway-timeout` at most; `progress` is told why it takes long.

        Raises `EnvironmentFaultError` with the cluster's own text when it cannot start or does not in time.
        """
        last, until = "no pod has appeared", time.monotonic() + self._choice.timeout_s
        with closing(self._changes(until)) as changes:
            for kind, found in changes:
                verdict = judge_pod(found, self._choice) if kind == "pod" else judge_event(found)
                if isinstance(verdict, Ready):
                    return self._read_key(verdict, until)
                if isinstance(verdict, KttunError):
                    raise self._with_log(verdict, found) if kind == "pod" else verdict
                if isinstance(verdict, Progress) and verdict.text != last:
                    last = verdict.text
                    progress(last)
        raise EnvironmentFaultError(
            f"the gateway did not start within {self._choice.timeout_s:g} s: {last.rstrip('.')}",
            f"kubectl -n {self._login.namespace} describe job {self.name}",
            "a slow image pull may need a longer --gateway-timeout",
        )

    def extend(self) -> None:
        """Give the Job its full age (`--max-age`): it is in use now. Raises `EnvironmentFaultError`."""
        with mapped("extend the gateway's life", verb="patch", resource="jobs.batch", namespace=self._login.namespace):
            self._rest.patch(
                f"{self._jobs}/{self.name}", {"spec": {"activeDeadlineSeconds": round(self._choice.max_age_s)}}
            )

    def delete(self) -> None:
        """Delete the Job and its pod; done already is fine. Raises `EnvironmentFaultError` when that cannot be told.

        One whose creation nobody heard the end of is looked for during `SETTLE_S`.
        """
        if self.name is None:
            return
        until = time.monotonic() + (SETTLE_S if self._existence is _Existence.UNHEARD else 0)
        while not self._delete(self.name) and time.monotonic() < until:
            time.sleep(SETTLE_PAUSE_S)
        self._forget()

    def _delete(self, name: str) -> bool:
        """Ask for the deletion once; tell whether there was such a Job."""
        try:
            with mapped("delete the gateway", verb="delete", resource="jobs.batch", namespace=self._login.namespace):
                self._rest.delete(f"{self._jobs}/{name}", {"propagationPolicy": "Background", "gracePeriodSeconds": 0})
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return False
        return True

    def _forget(self) -> None:
        self.name, self._existence = None, _Existence.NONE

    def _changes(self, until: float) -> Generator[_Change, None, None]:
        """Yield ("pod" | "event", object) from both watches until the time is over."""
        changes: queue.SimpleQueue[_Change | BaseException] = queue.SimpleQueue()
        enough = threading.Event()
        watches = {
            "pod": (f"{self._core}/pods", {"labelSelector": f"job-name={self.name}"}),
            "event": (f"{self._core}/events", {}),
        }
        for kind, (path, query) in watches.items():
            threading.Thread(
                target=self._watch,
                args=(kind, path, query),
                kwargs={"until": until, "enough": enough, "tell": changes.put},
                daemon=True,
                name=f"kttun-watch-{kind}",
            ).start()
        try:
            while (left := until - time.monotonic()) > 0:
                try:
                    # In slices: a signal just before the wait would not be seen until it ends.
                    change = changes.get(timeout=min(left, SLICE_S))
                except queue.Empty:
                    continue
                if isinstance(change, BaseException):
                    raise change
                yield change
        finally:
            enough.set()

    def _watch(
        self,
        kind: str,
        path: str,
        query: dict[str, str],
        *,
        until: float,
        enough: threading.Event,
        tell: Callable[[_Change | BaseException], None],
    ) -> None:
        try:
            with mapped(f"watch {kind}s", verb="watch", resource=f"{kind}s", namespace=self._login.namespace):
                while (left := until - time.monotonic()) > 0:
                    for found in self._found(kind, path, query, left):
                        if enough.is_set():
                            return
                        tell((kind, found))
                    if enough.wait(PAUSE_S):
                        return
        except EnvironmentFaultError as error:
            if kind == "pod":  # without events only the reasons are poorer
                tell(error)
        except Exception as error:  # noqa: BLE001 - a bug in a thread must reach the main one
            tell(error)

    def _found(self, kind: str, path: str, query: dict[str, str], left: float) -> Iterator[dict[str, Any]]:
        """Watch once; an ERROR (its object is a Status) ends a watch, and a new one begins with what is there."""
        for change, found in self._rest.watch(path, timeout_s=left, **query):
            if change == "ERROR":
                return
            if kind == "pod" and change == "DELETED":
                raise EnvironmentFaultError("the gateway pod was deleted before it was ready", "kttun up makes another")
            if change != "DELETED" and (kind == "pod" or self._is_ours(found)):
                yield found

    def _is_ours(self, event: dict[str, Any]) -> bool:
        about = (event.get("involvedObject") or {}).get("name") or ""
        return about == self.name or about.startswith(f"{self.name}-")

    def _read_key(self, ready: Ready, until: float) -> Gateway:
        from urllib3.exceptions import ReadTimeoutError  # noqa: PLC0415  # heavy, as the client library is

        path = f"{self._core}/pods/{ready.pod}/log"
        left = max(1.0, until - time.monotonic())
        refusal = mapped("read the gateway's log", verb="get", resource="pods/log", namespace=self._login.namespace)
        with refusal, suppress(ReadTimeoutError):
            # Followed, since the container runs before Python has printed: the line comes without asking again.
            lines = self._rest.lines(path, timeout_s=left, container=CONTAINER, follow="true")
            for line in islice(lines, MOST_LINES):
                if line.startswith(KEY_LINE):
                    return Gateway(str(self.name), ready.pod, ready.node, _key(line.removeprefix(KEY_LINE)))
                if time.monotonic() > until:
                    break
        raise self._with_log(
            EnvironmentFaultError("the gateway ended or went on without telling its key", _WRONG_IMAGE),
            {"metadata": {"name": ready.pod}},
        )

    def _with_log(self, error: KttunError, pod: dict[str, Any]) -> KttunError:
        """Add the last lines of the gateway's log, which usually say more than the cluster does."""
        try:
            path = f"{self._core}/pods/{pod['metadata']['name']}/log"
            text = self._rest.text(path, container=CONTAINER, tailLines=3)
        except Exception:  # noqa: BLE001 - there may be no log; the error at hand is the one to tell
            return error
        lines = (line for line in text.splitlines() if line.strip() and not line.startswith(KEY_LINE))
        return type(error)(error.message, *(f"its log says: {line.strip()}" for line in lines), *error.hints)


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_SIZE:
        raise EnvironmentFaultError("what the gateway's log gives as its key is none", _WRONG_IMAGE)
    return key
