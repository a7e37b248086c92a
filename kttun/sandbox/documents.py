"""What the API says of itself: discovery, version, and as much OpenAPI as kubectl wants before it creates something."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

from kttun.sandbox.kinds import KINDS
from kttun.sandbox.status import no_such_path

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind

    Document = dict[str, Any]

VERSION = {"major": "1", "minor": "34", "gitVersion": "v1.34.0+kttun-sandbox", "platform": "linux/amd64"}
"""The Kubernetes whose words and manners this is."""

PLAIN = {"healthz", "livez", "readyz"}
"""Paths that say no more than `ok`."""

FIELD_VALIDATION = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
"""The parameter whose presence tells kubectl to leave validation to the server."""


def document(path: str) -> Document | str:
    """Give what stands at a path that is no resource. Raises `StatusError` 404."""
    found = _documents().get(path.strip("/"))
    if found is None:
        raise no_such_path()
    return found


@cache
def _documents() -> dict[str, Document | str]:
    groups = [_group(group) for group in _groups()]
    return {
        **dict.fromkeys(PLAIN, "ok"),
        "version": VERSION,
        "api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        **{f"apis/{group['name']}": {"kind": "APIGroup", "apiVersion": "v1", **group} for group in groups},
        **{place: _resources(place) for place in _places()},
        "openapi/v3": {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in _places()}},
        **{f"openapi/v3/{place}": _openapi(place) for place in _places()},
    }


def _groups() -> list[str]:
    return sorted({kind.group for kind in KINDS if kind.group})


def _group(group: str) -> Document:
    versions = [next(found) for _, found in groupby(k.version for k in KINDS if k.group == group)]
    named = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": named, "preferredVersion": named[0]}


def _resources(place: str) -> Document:
    found: list[Document] = []
    for kind in (kind for kind in KINDS if _place(kind) == place):
        common = {"namespaced": kind.namespaced, "kind": kind.name}
        short = {"shortNames": list(kind.short)} if kind.short else {}
        found.append(
            {"name": kind.plural, "singularName": kind.name.lower(), **common, "verbs": list(kind.verbs), **short}
        )
        found += [
            {
                "name": f"{kind.plural}/{sub}",
                "singularName": "",
                **common,
                "verbs": ["get", "create", "patch", "update"],
            }
            for sub in kind.subresources
        ]
    version = place.partition("/")[2]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": found}


def _places() -> list[str]:
    return list(dict.fromkeys(_place(kind) for kind in KINDS))


def _place(kind: Kind) -> str:
    return f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"


def _openapi(place: str) -> Document:
    paths: Document = {}
    for kind in KINDS:
        if _place(kind) == place:
            names = {"group": kind.group, "version": kind.version, "kind": kind.name}
            namespace = "namespaces/{namespace}/" if kind.namespaced else ""
            operation = {
                "parameters": [FIELD_VALIDATION],
                "responses": {},
                "x-kubernetes-group-version-kind": names,
            }
            paths[f"/{place}/{namespace}{kind.plural}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]}, "paths": paths}
