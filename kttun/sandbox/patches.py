"""Changes to objects: JSON patch (RFC 6902, library `jsonpatch`) and merge patch (RFC 7386)."""

from __future__ import annotations

import copy
from http import HTTPStatus
from typing import Any

import jsonpatch

from kttun.sandbox.status import StatusError, bad_request

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


def patched(content_type: str, found: dict[str, Any], patch: Any) -> dict[str, Any]:
    """Give the object as it is after the patch. Raises `StatusError` 400, 415 or 422."""
    if content_type == MERGE_PATCH:
        if not isinstance(patch, dict):
            raise bad_request("the patch leaves no object")
        return _merged(found, patch)
    if content_type != JSON_PATCH:
        message = (
            "the body of the request was in an unknown format - "
            f"accepted media types include: {JSON_PATCH}, {MERGE_PATCH}"
        )
        raise StatusError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    try:
        changed: dict[str, Any] = jsonpatch.apply_patch(found, patch)
    except jsonpatch.InvalidJsonPatch as error:
        raise bad_request(str(error)) from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        message = "the server rejected our request due to an error in our request"
        raise StatusError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", message, causes=[str(error)]) from error
    return changed


def _merged(found: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """Apply a merge patch as section 2 of RFC 7386 spells it out."""
    made = dict(found) if isinstance(found, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _merged(made.get(key), value) if isinstance(value, dict) else copy.deepcopy(value)
    return made
