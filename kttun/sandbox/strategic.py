"""Strategic merge patch, which `kubectl apply`, `patch` and `edit` send for built-in kinds.

A merge patch in which some lists are merged by a key of their items, and maps may carry directives (Kubernetes
community, contributors/devel/sig-api-machinery/strategic-merge-patch.md). Keys are those of the kinds that exist here.
"""

from __future__ import annotations

import copy
from typing import Any

MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port"),
    "secrets": ("name",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
"""Fields whose lists are merged, and by what; of several keys the first that the items have."""
SETS = frozenset({"finalizers"})
"""Fields whose lists are sets of plain values."""

DIRECTIVE, DELETE, REPLACE = "$patch", "delete", "replace"
ORDER, TAKE_OUT, RETAIN = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys"


def merged(found: Any, patch: Any, field: str = "") -> Any:
    """Give what stands at `field` after the patch."""
    if isinstance(patch, dict):
        return _map(found if isinstance(found, dict) else {}, patch)
    if isinstance(patch, list) and isinstance(found, list):
        return _list(found, patch, field)
    return copy.deepcopy(patch)


def _map(found: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    if patch.get(DIRECTIVE) == REPLACE:
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != DIRECTIVE}
    retained = patch.get(RETAIN)
    made = {key: value for key, value in found.items() if retained is None or key in retained}
    for key, value in patch.items():
        if key in {DIRECTIVE, RETAIN} or key.startswith(ORDER):
            continue
        if key.startswith(TAKE_OUT):
            name = key.removeprefix(TAKE_OUT)
            made[name] = [one for one in made.get(name) or () if one not in value]
        elif value is None:
            made.pop(key, None)
        else:
            made[key] = merged(made.get(key), value, key)
    return made


def _list(found: list[Any], patch: list[Any], field: str) -> list[Any]:
    if field in SETS:
        return [*found, *(one for one in patch if one not in found)]
    items = [one for one in (*found, *patch) if isinstance(one, dict)]
    key = next((key for key in MERGE_KEYS.get(field, ()) if any(key in one for one in items)), None)
    if key is None or any(one.get(DIRECTIVE) == REPLACE for one in patch):
        return [copy.deepcopy(one) for one in patch if not (isinstance(one, dict) and DIRECTIVE in one)]
    made = list(found)
    for one in patch:
        place = next((place for place, old in enumerate(made) if old.get(key) == one.get(key)), None)
        if one.get(DIRECTIVE) == DELETE:
            made = [old for old in made if old.get(key) != one.get(key)]
        elif place is None:
            made.append(_map({}, one))
        else:
            made[place] = _map(made[place], one)
    return made
