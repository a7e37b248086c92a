"""The way in for objects: defaults, addresses and admission, before the store keeps them.

The API and the controllers both come through here, so a controller's pod meets the same Pod Security and quota, with
the same words, as a person's. What is filled in is what kttun, kubectl and our controllers look at, from
`k8s.io/kubernetes` pkg/apis/*/v1/defaults.go and pkg/registry/*/strategy.go. Nothing here asks who it is: that is
`rbac`'s, in front of the API.
"""

from __future__ import annotations

import copy
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kttun.sandbox.addresses import ServiceAddresses
from kttun.sandbox.kinds import DEPLOYMENTS, JOBS, NAMESPACES, PODS, QUOTAS, SERVICE_ACCOUNTS, SERVICES
from kttun.sandbox.pod_security import level, violations
from kttun.sandbox.status import StatusError, forbidden, invalid
from kttun.sandbox.store import FINISHED

if TYPE_CHECKING:
    from ipaddress import IPv4Network

    from kttun.sandbox.kinds import Kind
    from kttun.sandbox.store import Store

    Object = dict[str, Any]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?")
"""What all kinds take as a name (RFC 1123 subdomain), and the colon that roles may have besides."""


JOB_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")


class Registry:
    """Makes and changes objects of a store as the API server would; `network` is where Services get addresses."""

    def __init__(self, store: Store, network: IPv4Network) -> None:
        self.store = store
        self._addresses = ServiceAddresses(store, network)

    def create(self, kind: Kind, obj: Object, *, dry_run: bool = False) -> Object:
        """Fill in, admit and keep a new object; with `dry_run` all but the last. `metadata.namespace` must be set.

        Raises `StatusError`: 404 without its namespace, 403 where that is ending or policy forbids it, 409 when the
        name is taken, 422 when it is not valid.
        """
        made = self.store.named(kind, obj)
        name, namespace = made["metadata"]["name"], made["metadata"].get("namespace", "")
        if not _NAME.fullmatch(name):
            rule = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
            raise invalid(kind, name, "metadata.name", f'Invalid value: "{name}": {rule}')
        if kind.namespaced and "deletionTimestamp" in self.store.get(NAMESPACES, "", namespace)["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise forbidden(kind, name, why)
        if self.store.find(kind, namespace, name) is None:
            self._admit(kind, made)
        kept = self.store.create(kind, made, dry_run=dry_run)
        if kind == NAMESPACES and not dry_run:
            # Without its ServiceAccount `default` no pod is admitted; it may have been made beforehand.
            with suppress(StatusError):
                self.store.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": name}})
        return kept

    def replace(self, kind: Kind, obj: Object, *, dry_run: bool = False) -> Object:
        """Put a changed object in its place, all but the status. Raises `StatusError` 404, 409 and 422."""
        meta = obj["metadata"]
        old = self.store.get(kind, meta.get("namespace", ""), meta["name"])
        made = copy.deepcopy(obj)
        made.pop("status", None)
        made |= {"status": old["status"]} if "status" in old else {}
        if kind == SERVICES:
            if made["spec"].get("clusterIP") != old["spec"].get("clusterIP"):
                why = f'Invalid value: "{made["spec"].get("clusterIP")}": may not change once set'
                raise invalid(SERVICES, meta["name"], "spec.clusterIPs[0]", why)
            _ports(made)
        return self.store.replace(kind, made, dry_run=dry_run)

    def _admit(self, kind: Kind, made: Object) -> None:
        if kind in _FILLERS:
            _FILLERS[kind](made)
        if kind == PODS:
            self._admit_pod(made)
        if kind == SERVICES:
            self._addresses.assign(made)

    def _admit_pod(self, made: Object) -> None:
        name, where = made["metadata"]["name"], made["metadata"]["namespace"]
        account = made["spec"]["serviceAccountName"]
        if self.store.find(SERVICE_ACCOUNTS, where, account) is None:
            why = f'error looking up service account {where}/{account}: serviceaccount "{account}" not found'
            raise forbidden(PODS, name, why)
        enforced = level(self.store.get(NAMESPACES, "", where))
        if told := violations(enforced, made["spec"]):
            raise forbidden(PODS, name, f'violates PodSecurity "{enforced}:latest": {told}')
        self._check_quota(name, where)

    def _check_quota(self, name: str, namespace: str) -> None:
        """Refuse a pod that is more than a ResourceQuota lets the namespace hold; only pods are counted.

        Words: `k8s.io/apiserver` pkg/admission/plugin/resourcequota/controller.go.
        """
        pods = self.store.list(PODS, namespace)
        used = sum((pod.get("status") or {}).get("phase") not in FINISHED for pod in pods)
        for quota in self.store.list(QUOTAS, namespace):
            hard = ((quota.get("spec") or {}).get("hard") or {}).get("pods")
            if hard is not None and int(hard) <= used:
                title = f"exceeded quota: {quota['metadata']['name']}"
                raise forbidden(PODS, name, f"{title}, requested: pods=1, used: pods={used}, limited: pods={hard}")


def _ports(service: Object) -> None:
    """Fill in the ports of a Service."""
    for port in service["spec"].get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])


def _namespace(made: Object) -> None:
    made["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = made["metadata"]["name"]
    made["status"] = {"phase": "Active"}


def _pod(made: Object) -> None:
    usual = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "serviceAccountName": "default"}
    made["spec"] = usual | (made.get("spec") or {})
    made["status"] = {"phase": "Pending"}


def _service(made: Object) -> None:
    made["spec"] = {"type": "ClusterIP"} | (made.get("spec") or {})
    _ports(made)


def _job(made: Object) -> None:
    labels = made["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {})
    labels |= dict.fromkeys(JOB_NAME_LABELS, made["metadata"]["name"])
    made["spec"] = {"backoffLimit": 6} | made["spec"]
    made["status"] = {}


def _deployment(made: Object) -> None:
    made["spec"] = {"replicas": 1} | made["spec"]
    made["status"] = {}


_FILLERS = {NAMESPACES: _namespace, PODS: _pod, SERVICES: _service, JOBS: _job, DEPLOYMENTS: _deployment}
