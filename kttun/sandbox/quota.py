"""ResourceQuota, for counts alone: `pods`, other core kinds by their plural, and `count/RESOURCE`.

Words: `k8s.io/apiserver` pkg/admission/plugin/resourcequota/controller.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kttun.sandbox.kinds import PODS, QUOTAS
from kttun.sandbox.status import forbidden
from kttun.sandbox.store import FINISHED

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Store


def check_quota(store: Store, kind: Kind, made: dict[str, Any]) -> None:
    """Raise `StatusError` 403 when one more object would be more than the namespace may hold."""
    namespace, name = made["metadata"].get("namespace", ""), made["metadata"]["name"]
    for quota in store.list(QUOTAS, namespace) if namespace else ():
        hard = (quota.get("spec") or {}).get("hard") or {}
        for counted in (f"count/{kind.resource}", *([kind.plural] if not kind.group else [])):
            if counted in hard and int(hard[counted]) <= (used := _used(store, kind, namespace)):
                title = f"exceeded quota: {quota['metadata']['name']}"
                numbers = f"requested: {counted}=1, used: {counted}={used}, limited: {counted}={hard[counted]}"
                raise forbidden(kind, name, f"{title}, {numbers}")


def _used(store: Store, kind: Kind, namespace: str) -> int:
    found = store.list(kind, namespace)
    if kind == PODS:  # a pod that has ended takes nothing
        return sum((pod.get("status") or {}).get("phase") not in FINISHED for pod in found)
    return len(found)
