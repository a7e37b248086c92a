"""Which carrier a lane takes: the user's choice, or the first kind in order on which the gateway really answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kttun.config import CarrierKind
from kttun.errors import EnvironmentFaultError, TunnelError
from kttun.link.reach import DialError, DialFailure
from kttun.link.upgrade import AUTO_ORDER, dial

if TYPE_CHECKING:
    from kttun.config import ApiEndpoint
    from kttun.link.carrier import Carrier

DIAL_S = 20.0
"""Longest attempt. One that hangs behind a stopped API server succeeds the moment the server goes on."""

_OTHER_KIND_MAY_WORK = frozenset({DialFailure.REFUSED, DialFailure.FORBIDDEN})


class LaneOpener:
    """Opens lanes to one gateway; calling it is one attempt, in the dialer's thread."""

    def __init__(self, endpoint: ApiEndpoint, namespace: str, pod: str, port: int, kind: CarrierKind) -> None:
        self._endpoint, self._namespace, self._pod, self._port = endpoint, namespace, pod, port
        self._kinds = list(AUTO_ORDER if kind is CarrierKind.AUTO else (kind,))
        self._proved = False

    def __call__(self) -> Carrier:
        """Open one lane. Raises `DialError` for what may pass, `TunnelError` or `Hopeless` for good."""
        try:
            return dial(self._endpoint, self._namespace, self._pod, self._port, kind=self._kinds[0], timeout_s=DIAL_S)
        except DialError as error:
            if error.failure in _OTHER_KIND_MAY_WORK and len(self._kinds) > 1:
                del self._kinds[0]
                return self()
            if error.failure is DialFailure.POD_GONE:
                raise TunnelError("the gateway pod is gone", "kttun up makes a new one") from error
            if not error.retryable:
                raise Hopeless(error) from error
            raise

    def proved(self) -> None:
        """Stay with the present kind: the gateway has answered on it."""
        self._proved = True

    def failed(self) -> None:
        """Try the other kind next: the lane ended before the gateway had answered on any."""
        if not self._proved:
            self._kinds.append(self._kinds.pop(0))


class Hopeless(Exception):  # noqa: N818 - carries the real error past the dialer, which retries the others
    """An error that dialling again will not mend; `error` is it."""

    def __init__(self, error: EnvironmentFaultError) -> None:
        super().__init__(error.message)
        self.error = error
