"""How the API says no: the `Status` object (meta/v1), with the words of `k8s.io/apimachinery` pkg/api/errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kttun.sandbox.kinds import Kind


class StatusError(Exception):
    """An answer that is no success. `code` is the HTTP status, `reason` and `message` as in the `Status` object."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details

    def body(self) -> dict[str, Any]:
        """Give the `Status` object that travels to the client."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            **({"details": self.details} if self.details else {}),
            "code": self.code,
        }


def _details(kind: Kind, name: str) -> dict[str, Any]:
    return {"name": name, **({"group": kind.group} if kind.group else {}), "kind": kind.plural}


def not_found(kind: Kind, name: str) -> StatusError:
    """Say that there is no such object."""
    return StatusError(HTTPStatus.NOT_FOUND, "NotFound", f'{kind.resource} "{name}" not found', **_details(kind, name))


def no_such_path() -> StatusError:
    """Say that the path names nothing that the API has."""
    message = "the server could not find the requested resource"
    return StatusError(HTTPStatus.NOT_FOUND, "NotFound", message)


def already_exists(kind: Kind, name: str) -> StatusError:
    """Say that the name is taken."""
    message = f'{kind.resource} "{name}" already exists'
    return StatusError(HTTPStatus.CONFLICT, "AlreadyExists", message, **_details(kind, name))


def conflict(kind: Kind, name: str, why: str) -> StatusError:
    """Say that the object has changed since, or is not the one that was meant."""
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return StatusError(HTTPStatus.CONFLICT, "Conflict", message, **_details(kind, name))


def forbidden(kind: Kind, name: str, why: str) -> StatusError:
    """Say that policy forbids it; `name` may be empty, as in a refusal to list."""
    what = f'{kind.resource} "{name}"' if name else kind.resource
    details = {key: value for key, value in _details(kind, name).items() if value}
    return StatusError(HTTPStatus.FORBIDDEN, "Forbidden", f"{what} is forbidden: {why}", **details)


def invalid(kind: Kind, name: str, field: str, why: str) -> StatusError:
    """Say that one field of the object is wrong; `why` begins as the API server's, such as `Invalid value: ...`."""
    what = f"{kind.name}.{kind.group}" if kind.group else kind.name
    causes = [{"reason": "FieldValueInvalid", "message": why, "field": field}]
    return StatusError(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Invalid",
        f'{what} "{name}" is invalid: {field}: {why}',
        name=name,
        **({"group": kind.group} if kind.group else {}),
        kind=kind.name,
        causes=causes,
    )


def bad_request(why: str) -> StatusError:
    """Say that the request cannot be understood."""
    return StatusError(HTTPStatus.BAD_REQUEST, "BadRequest", why)


def unauthorized() -> StatusError:
    """Say that nobody is known by these credentials."""
    return StatusError(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")


def expired(revision: int, oldest: int) -> StatusError:
    """Say that the history does not reach back so far: list again (Kubernetes API concepts, "410 Gone")."""
    return StatusError(HTTPStatus.GONE, "Expired", f"too old resource version: {revision} ({oldest})")


def not_allowed() -> StatusError:
    """Say that this cannot be done with this resource."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message)


def internal(why: str) -> StatusError:
    """Say that something behind the API failed."""
    return StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", f"Internal error occurred: {why}")
