"""Names that a person may mean, asked for while they type: contexts, namespaces, Services; what is forbidden is empty.

One page of a list is enough (500): nobody reads more at a prompt.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import TYPE_CHECKING

from kttun.cluster.errors import mapped
from kttun.cluster.kubeconfig import contexts
from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kttun.config import ClusterChoice

ANY = "default"
"""A namespace for a login that asks for things outside of any."""


def context_names(choice: ClusterChoice, environ: Mapping[str, str]) -> list[str]:
    """Give the contexts of the kubeconfig. Raises `KttunError`."""
    return sorted(contexts(choice, environ))


def namespace_names(choice: ClusterChoice, environ: Mapping[str, str]) -> list[str]:
    """Give the cluster's namespaces and those of the kubeconfig, which alone are left where listing is forbidden.

    Raises `KttunError` without a kubeconfig.
    """
    known = {namespace for namespace in contexts(choice, environ).values() if namespace}
    with suppress(EnvironmentFaultError):
        known.update(_names(dataclasses.replace(choice, namespace=ANY), environ, "/api/v1/namespaces"))
    return sorted(known)


def service_names(choice: ClusterChoice, environ: Mapping[str, str]) -> list[str]:
    """Give the Services of the chosen namespace, else of the context's. Raises `KttunError`."""
    return _names(choice, environ, "/api/v1/namespaces/{namespace}/services")


def _names(choice: ClusterChoice, environ: Mapping[str, str], path: str) -> list[str]:
    from kttun.cluster.login import log_in  # noqa: PLC0415 - contexts need no client
    from kttun.cluster.rest import PAGE, Rest  # noqa: PLC0415

    login = log_in(choice, environ)
    with mapped("list names"):
        page = Rest(login.api).get(path.format(namespace=login.namespace), limit=PAGE)
    return [item["metadata"]["name"] for item in page.get("items") or ()]
