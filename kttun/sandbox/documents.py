"""What the API says of itself: its version, and discovery. There is no OpenAPI."""

from __future__ import annotations

from functools import cache
from typing import Any

from kttun.sandbox.kinds import ACCESS_REVIEWS, KINDS, VERSION
from kttun.sandbox.status import no_such_path

RELEASE = {"major": "1", "minor": "34", "gitVersion": "v1.34.0+kttun-sandbox", "platform": "linux/amd64"}
"""The Kubernetes whose words and manners this is."""
VERBS = ["create", "delete", "get", "list", "patch", "watch"]


def document(path: str) -> dict[str, Any]:
    """Give what stands at a path that is no resource. Raises `StatusError` 404."""
    found = _documents().get(path.strip("/"))
    if found is None:
        raise no_such_path()
    return found


@cache
def _documents() -> dict[str, dict[str, Any]]:
    names = list(dict.fromkeys(kind.group for kind in KINDS))
    groups = [_group(name) for name in names if name]
    return {
        "version": RELEASE,
        "api": {"kind": "APIVersions", "versions": [VERSION], "serverAddressByClientCIDRs": []},
        "apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        **{f"apis/{name}/{VERSION}" if name else f"api/{VERSION}": _resources(name) for name in names},
    }


def _group(name: str) -> dict[str, Any]:
    version = {"groupVersion": f"{name}/{VERSION}", "version": VERSION}
    return {"name": name, "versions": [version], "preferredVersion": version}


def _resources(group: str) -> dict[str, Any]:
    kinds = [kind for kind in KINDS if kind.group == group]
    found: list[dict[str, Any]] = []
    for kind in kinds:
        common = {"namespaced": kind.namespaced, "kind": kind.name}
        verbs = ["create"] if kind == ACCESS_REVIEWS else VERBS
        names = {"name": kind.plural, "singularName": kind.name.lower(), "shortNames": list(kind.short)}
        found.append(names | common | {"verbs": verbs})
        for sub in kind.subresources:
            names = {"name": f"{kind.plural}/{sub}", "singularName": ""}
            found.append(names | common | {"verbs": ["get", "create"]})
    return {
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": kinds[0].api_version, "resources": found,
    }  # fmt: skip
