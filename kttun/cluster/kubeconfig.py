"""Which kubeconfig, which context, which namespace: read, merged and chosen as kubectl does, every fault named.

Rules (kubernetes.io, "Organizing Cluster Access Using kubeconfig Files"): an explicit file stands alone; else the
variable KUBECONFIG lists files, of which missing ones are skipped and the first to say something wins; else
~/.kube/config. Relative paths inside a file are relative to that file. There is one difference: a namespace is never
silently `default`.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kttun.cluster.shapes import check_shape, is_text
from kttun.errors import EnvironmentFaultError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kttun.config import ClusterChoice

SECTIONS = {"clusters": "cluster", "contexts": "context", "users": "user"}
"""The named lists of a kubeconfig, and under which key each entry holds its body."""

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""What names a namespace (RFC 1123 label)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One named cluster, context or user, and the directory its relative paths start from."""

    name: str
    body: Mapping[str, Any]
    folder: Path

    def path(self, key: str) -> Path | None:
        """Give the file that `key` names; None when it names none."""
        value = self.body.get(key)
        return self.folder / os.path.expanduser(str(value)) if value else None  # noqa: PTH111  # pathlib raises


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """What was chosen: the cluster to talk to, as whom, and in which namespace."""

    context: str
    namespace: str
    cluster: Entry
    user: Entry


def choose(choice: ClusterChoice, environ: Mapping[str, str]) -> Kubeconfig:
    """Read the kubeconfig files and choose.

    Raises `EnvironmentFaultError` for a file that is missing or broken, `UsageError` for a context or a namespace that
    was not given or is not known.
    """
    paths = _paths(choice, environ)
    current, sections = _merge([(path, _load(path)) for path in paths])
    where = ":".join(map(str, paths))
    name = choice.context or current
    contexts = sections["contexts"]
    if not contexts:
        raise EnvironmentFaultError(f"kubeconfig {where} has no contexts", "point --kubeconfig or KUBECONFIG elsewhere")
    if not name:
        raise UsageError(f"kubeconfig {where} has no current context", f"choose one: --context {_some(contexts)}")
    if name not in contexts:
        raise _unknown_context(name, contexts, where)
    context = contexts[name]
    return Kubeconfig(
        context=name,
        namespace=_namespace(choice.namespace or context.body.get("namespace"), name),
        cluster=_referred(context, "cluster", sections["clusters"]),
        user=_referred(context, "user", sections["users"]) if context.body.get("user") else Entry("", {}, Path()),
    )


def contexts(choice: ClusterChoice, environ: Mapping[str, str]) -> dict[str, str | None]:
    """Give the contexts that may be chosen, each with its namespace. Raises `EnvironmentFaultError`."""
    _, sections = _merge([(path, _load(path)) for path in _paths(choice, environ)])
    namespaces = {name: entry.body.get("namespace") for name, entry in sections["contexts"].items()}
    return {name: str(namespace) if namespace else None for name, namespace in namespaces.items()}


def _paths(choice: ClusterChoice, environ: Mapping[str, str]) -> list[Path]:
    if choice.kubeconfig is not None:
        return [choice.kubeconfig]
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    candidates = named or [Path(environ.get("HOME", "/")) / ".kube" / "config"]
    there = [path for path in candidates if path.exists()]
    if not there:
        raise EnvironmentFaultError(
            f"no kubeconfig: {', '.join(map(str, candidates))} does not exist",
            "name it with --kubeconfig FILE or in the variable KUBECONFIG",
        )
    return there


def _load(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise EnvironmentFaultError(f"kubeconfig {path} cannot be read: {reason}", *_reading_hints(error)) from error
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:  # YAML's own words for bad dates etc.
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise EnvironmentFaultError(f"kubeconfig {path} is not YAML{line}") from error
    if document is None:
        raise EnvironmentFaultError(f"kubeconfig {path} is empty")
    if not isinstance(document, dict):
        raise EnvironmentFaultError(f"kubeconfig {path} is not a kubeconfig: a mapping is expected")
    return document


def _reading_hints(error: OSError) -> tuple[str, ...]:
    if isinstance(error, PermissionError):
        return ("kttun reads it as the user who called sudo, never as root",)
    if isinstance(error, FileNotFoundError):
        return ("name it with --kubeconfig FILE or in the variable KUBECONFIG",)
    return ()


def _merge(documents: Iterable[tuple[Path, Mapping[str, Any]]]) -> tuple[str | None, dict[str, dict[str, Entry]]]:
    current: str | None = None
    merged: dict[str, dict[str, Entry]] = {section: {} for section in SECTIONS}
    for path, document in documents:
        current = current or _current(path, document)
        for section, key in SECTIONS.items():
            for entry in _entries(path, document, section, key):
                merged[section].setdefault(entry.name, entry)
    return current, merged


def _current(path: Path, document: Mapping[str, Any]) -> str | None:
    name = document.get("current-context")
    if not is_text(name):
        raise EnvironmentFaultError(f"kubeconfig {path} is broken: current-context is not a text")
    return str(name) if name else None


def _entries(path: Path, document: Mapping[str, Any], section: str, key: str) -> list[Entry]:
    items = document.get(section) or []
    if not isinstance(items, list):
        raise EnvironmentFaultError(f"kubeconfig {path} is broken: {section} is not a list")
    entries = []
    for item in items:
        if not isinstance(item, dict) or not item.get("name") or not is_text(item["name"]):
            raise EnvironmentFaultError(f"kubeconfig {path} is broken: an entry of {section} has no name")
        body = item.get(key) or {}
        if not isinstance(body, dict):
            raise EnvironmentFaultError(f"kubeconfig {path} is broken: {key} {item['name']} is not a mapping")
        check_shape(body, f"{key} {item['name']} of kubeconfig {path}")
        entries.append(Entry(str(item["name"]), body, path.absolute().parent))
    return entries


def _unknown_context(name: str, contexts: Mapping[str, Entry], where: str) -> UsageError:
    near = difflib.get_close_matches(name, contexts, n=1)
    hints = [f"did you mean {near[0]}?"] if near else []
    return UsageError(f"kubeconfig {where} has no context {name}", *hints, f"it has: {_some(contexts)}")


def _some(names: Mapping[str, Entry], most: int = 10) -> str:
    shown = sorted(names)[:most]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def _referred(context: Entry, kind: str, known: Mapping[str, Entry]) -> Entry:
    if not context.body.get(kind):
        raise EnvironmentFaultError(f"context {context.name} of the kubeconfig names no {kind}")
    name = str(context.body[kind])
    if name not in known:
        raise EnvironmentFaultError(f"context {context.name} names {kind} {name}, which the kubeconfig does not have")
    return known[name]


def _namespace(name: object, context: str) -> str:
    if not name:
        raise UsageError(
            f"no namespace given, and context {context} names none",
            "name it: kttun up NAMESPACE, or --namespace",
            f"or set it for good: kubectl config set-context {context} --namespace NAMESPACE",
        )
    if not DNS_LABEL.fullmatch(str(name)):
        raise UsageError(f"{name} is not the name of a namespace", "lower case letters, digits and -, at most 63")
    return str(name)
