"""`kttun rbac`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kttun.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from kttun.commands.console import Console


def run(options: Namespace, _console: Console) -> int:
    """Print the least Role, and its binding when somebody is named, as YAML; asks no cluster."""
    from kttun.cluster.rbac import role_yaml  # noqa: PLC0415

    features = [word for word in map(str.strip, options.features.split(",")) if word]
    if not features:
        raise UsageError("--features names no feature", "--features connect")
    sys.stdout.write(role_yaml(features, namespace=options.namespace, user=options.user, group=options.group))
    return 0
