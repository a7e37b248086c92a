"""The way in for objects: defaults, addresses and admission, before the store keeps them.

The API and the controllers both come through here, so a controller's pod meets the same Pod Security and quota, with
the same words, as a person's. Nothing here asks who it is: that is `rbac`'s, in front of the API.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kttun.sandbox.addresses import WITHOUT_ADDRESS, ServiceAddresses
from kttun.sandbox.defaults import fill
from kttun.sandbox.kinds import DEPLOYMENTS, JOBS, NAMESPACES, PODS, REPLICA_SETS, SERVICE_ACCOUNTS, SERVICES
from kttun.sandbox.pod_security import level, violations
from kttun.sandbox.quota import check_quota
from kttun.sandbox.status import StatusError, forbidden, invalid

if TYPE_CHECKING:
    from ipaddress import IPv4Network

    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Store

    Object = dict[str, Any]

WORKLOADS = frozenset({JOBS, DEPLOYMENTS, REPLICA_SETS})
"""What makes pods from a template: Pod Security warns for them and refuses only the pods."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?")
"""What all kinds take as a name (RFC 1123 subdomain), and the colon that roles may have besides."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An object as it was kept, and what its maker should be told (HTTP header Warning)."""

    found: Object
    warnings: tuple[str, ...] = ()


class Registry:
    """Makes and changes objects of a store as the API server would; `network` is where Services get addresses."""

    def __init__(self, store: Store, network: IPv4Network) -> None:
        self.store = store
        self.addresses = ServiceAddresses(store, network)

    def create(self, kind: Kind, obj: Object, *, dry_run: bool = False) -> Admitted:
        """Fill in, admit and keep a new object; with `dry_run` all but the last. `metadata.namespace` must be set.

        Raises `StatusError`: 404 without its namespace, 403 where that is ending or policy forbids it, 409 when the
        name is taken, 422 when it is not valid.
        """
        made = self.store.named(kind, obj)
        self._check_name(kind, made)
        namespace = self._namespace(kind, made)
        if self.store.find(kind, made["metadata"].get("namespace", ""), made["metadata"]["name"]) is None:
            fill(kind, made)
            warnings = self._admit(kind, made, namespace)
        else:
            warnings = ()
        kept = self.store.create(kind, made, dry_run=dry_run)
        if kind == NAMESPACES and not dry_run:
            self._give_account(kept["metadata"]["name"])
        return Admitted(kept, warnings)

    def replace(self, kind: Kind, obj: Object, *, subresource: str = "", dry_run: bool = False) -> Object:
        """Put a changed object in its place: all but the status, or with `subresource="status"` only that.

        Raises `StatusError` 404, 409 and 422.
        """
        meta = obj["metadata"]
        old = self.store.get(kind, meta.get("namespace", ""), meta["name"])
        made = copy.deepcopy(obj)
        if subresource == "status":
            made = copy.deepcopy(old) | {"status": made.get("status") or {}}
            made["metadata"]["resourceVersion"] = meta.get("resourceVersion")
        elif "status" in kind.subresources:
            made.pop("status", None)
            made |= {"status": old["status"]} if "status" in old else {}
            self._keep(kind, made, old)
        return self.store.replace(kind, made, dry_run=dry_run)

    def _check_name(self, kind: Kind, made: Object) -> None:
        name = made["metadata"]["name"]
        if not _LABEL.fullmatch(name):
            rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
            raise invalid(kind, name, "metadata.name", f'Invalid value: "{name}": {rule}')

    def _namespace(self, kind: Kind, made: Object) -> Object | None:
        if not kind.namespaced:
            return None
        name = made["metadata"]["namespace"]
        found = self.store.get(NAMESPACES, "", name)
        if "deletionTimestamp" in found["metadata"]:
            why = f"unable to create new content in namespace {name} because it is being terminated"
            raise forbidden(kind, made["metadata"]["name"], why)
        return found

    def _admit(self, kind: Kind, made: Object, namespace: Object | None) -> tuple[str, ...]:
        warnings: tuple[str, ...] = ()
        if namespace is not None and kind in WORKLOADS:
            warned = level(namespace, "warn")
            told = violations(warned, made["spec"]["template"]["spec"])
            warnings = (f'would violate PodSecurity "{warned}:latest": {told}',) if told else ()
        if namespace is not None and kind == PODS:
            self._admit_pod(made, namespace)
        if kind == SERVICES and made["spec"]["type"] != WITHOUT_ADDRESS:
            self.addresses.assign(made)
        check_quota(self.store, kind, made)
        return warnings

    def _admit_pod(self, made: Object, namespace: Object) -> None:
        name, where = made["metadata"]["name"], namespace["metadata"]["name"]
        account = made["spec"]["serviceAccountName"]
        if self.store.find(SERVICE_ACCOUNTS, where, account) is None:
            why = f'error looking up service account {where}/{account}: serviceaccount "{account}" not found'
            raise forbidden(PODS, name, why)
        enforced = level(namespace, "enforce")
        if told := violations(enforced, made["spec"]):
            raise forbidden(PODS, name, f'violates PodSecurity "{enforced}:latest": {told}')

    def _keep(self, kind: Kind, made: Object, old: Object) -> None:
        """Carry over what an update may leave out, and refuse what it may not change."""
        if kind != SERVICES:
            return
        for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if key in old["spec"]:
                made["spec"].setdefault(key, old["spec"][key])
        address = made["spec"].get("clusterIP")
        if address != old["spec"].get("clusterIP"):
            why = f'Invalid value: "{address}": may not change once set'
            raise invalid(SERVICES, made["metadata"]["name"], "spec.clusterIPs[0]", why)
        status = made.get("status")
        fill(SERVICES, made)
        made["status"] = status

    def _give_account(self, namespace: str) -> None:
        """Give each namespace its ServiceAccount `default`, without which no pod is admitted."""
        try:
            self.store.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": namespace}})
        except StatusError:  # it was made beforehand
            return
