"""What may stand where in a kubeconfig, checked before anything is made of it.

Source: k8s.io/client-go/tools/clientcmd/api/v1. YAML turns a careless value into a number, a date or a list; numbers
and the like are taken as their text, what cannot be one is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kttun.errors import EnvironmentFaultError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LISTS = frozenset({"as-groups", "extensions", "args", "env"})
MAPPINGS = frozenset({"as-user-extra", "exec", "auth-provider"})
TEXTS = frozenset(
    {
        *("server", "tls-server-name", "certificate-authority", "certificate-authority-data", "proxy-url"),
        *("client-certificate", "client-certificate-data", "client-key", "client-key-data", "token", "tokenFile"),
        *("username", "password", "as", "as-uid"),
        *("cluster", "user", "namespace"),
        *("command", "apiVersion", "installHint", "interactiveMode"),
    }
)
"""What we read ourselves; every other key is somebody else's and may be anything."""


def check_shape(body: Mapping[str, Any], where: str) -> None:
    """Check the body of a cluster, context or user; `where` names it. Raises `EnvironmentFaultError`."""
    for key, value in body.items():
        fault = _fault(str(key), value)
        if fault:
            raise EnvironmentFaultError(f"{where} is broken: {key} {fault}")
    for part in ("exec", "auth-provider"):
        if body.get(part):
            check_shape(body[part], f"{part} of {where}")


def is_text(value: object) -> bool:
    """Say whether a value of YAML can stand for a text, without characters that no program or file can be given."""
    return not isinstance(value, (dict, list, set, tuple, bytes)) and "\0" not in str(value)


def _fault(key: str, value: object) -> str | None:
    if value is None:
        return None
    if key in MAPPINGS:
        return None if isinstance(value, dict) else "is not a mapping"
    if key in TEXTS:
        return None if is_text(value) else "is not a text"
    if key in LISTS:
        return next(_faults_of_items(key, value), None) if isinstance(value, list) else "is not a list"
    return None


def _faults_of_items(key: str, items: list[Any]) -> Iterator[str]:
    for item in items:
        if key in {"as-groups", "args"} and not is_text(item):
            yield "holds something that is not a text"
        elif key in {"extensions", "env"} and not isinstance(item, dict):
            yield "holds something that is not a mapping"
        elif key == "env" and not _is_variable(item):
            yield "holds something that is not a variable with a name and a value"


def _is_variable(item: Mapping[str, Any]) -> bool:
    name, value = item.get("name"), item.get("value", "")
    return bool(name) and is_text(name) and "=" not in str(name) and is_text(value)
