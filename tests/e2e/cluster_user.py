"""A user of the cluster: plain objects by REST, from the laptop's network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import yaml
from kubernetes.client import ApiException
from pyroute2.netns import setns

from kttun.cluster.login import log_in
from kttun.cluster.rest import Rest
from kttun.config import ClusterChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

RESOURCES = {
    "jobs": "batch/v1", "pods": "v1", "services": "v1", "configmaps": "v1", "secrets": "v1", "serviceaccounts": "v1",
    "roles": "rbac.authorization.k8s.io/v1", "rolebindings": "rbac.authorization.k8s.io/v1",
    "endpointslices": "discovery.k8s.io/v1", "leases": "coordination.k8s.io/v1", "deployments": "apps/v1",
    "networkpolicies": "networking.k8s.io/v1",
}  # fmt: skip
"""Where the API has what the tests ask for."""
CLUSTER_WIDE = {"Namespace"}
DELETE = {"propagationPolicy": "Background"}


class ClusterUser:
    """Calls the API server as the user of a kubeconfig, from within a network namespace."""

    def __init__(self, kubeconfig: Path, network: Path) -> None:
        # A thread may have a network namespace of its own; the sockets that it opens stay there.
        self._thread = ThreadPoolExecutor(1, initializer=setns, initargs=(str(network),))
        self._api = log_in(ClusterChoice(kubeconfig=kubeconfig), {}).api
        self.rest = Rest(self._api)

    def close(self) -> None:
        self._api.rest_client.pool_manager.clear()
        self._thread.shutdown()

    def get(self, kinds: Iterable[str], namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """Give the objects of these kinds (plural) in a namespace; each says its kind."""
        return self.call(lambda: [each for kind in kinds for each in self._list(kind, namespace, selector)])

    def read(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        return self.call(lambda: self.rest.get(f"{_collection(RESOURCES[kind], kind, namespace)}/{name}"))

    def apply(self, text: str, namespace: str | None = None) -> None:
        """Make the objects of a YAML stream, or change those that are there to say the same."""
        for each in yaml.safe_load_all(text):
            self.call(partial(self._apply, each, each["metadata"].get("namespace", namespace)))

    def delete(self, kind: str, namespace: str | None, name: str) -> None:
        """Delete an object and what it owns; do not wait for it."""
        path = _collection(RESOURCES.get(kind, "v1"), kind, namespace)
        self.call(lambda: self.rest.delete(f"{path}/{name}", DELETE))

    def token(self, name: str, namespace: str) -> str:
        """Give a new token of a service account, good for a day."""
        path = f"{_collection('v1', 'serviceaccounts', namespace)}/{name}/token"
        kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        body = kind | {"spec": {"expirationSeconds": 24 * 3600}}
        return str(self.call(lambda: self.rest.create(path, body))["status"]["token"])

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function that uses `rest`, in that network."""
        return self._thread.submit(function).result()

    def _list(self, kind: str, namespace: str, selector: str) -> Iterable[dict[str, Any]]:
        version = RESOURCES[kind]
        listed = self.rest.get(_collection(version, kind, namespace), labelSelector=selector)
        # The items of a list do not say what they are, the list does.
        return (
            {"kind": listed["kind"].removesuffix("List"), "apiVersion": version, **each} for each in listed["items"]
        )

    def _apply(self, wanted: dict[str, Any], namespace: str | None) -> None:
        within = None if wanted["kind"] in CLUSTER_WIDE else namespace
        path = _collection(wanted["apiVersion"], f"{wanted['kind'].lower()}s", within)
        try:
            self.rest.create(path, wanted)
        except ApiException as refusal:
            if refusal.status != HTTPStatus.CONFLICT:
                raise
            self.rest.patch(f"{path}/{wanted['metadata']['name']}", wanted)


def _collection(version: str, kind: str, namespace: str | None) -> str:
    """Give the path of a collection (Kubernetes API concepts: "Resource URIs")."""
    root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    return f"{root}/namespaces/{namespace}/{kind}" if namespace else f"{root}/{kind}"
