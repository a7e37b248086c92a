"""`python -m kttun.gateway`: the gateway's process. Its stdout is the pod's log, whose first line is the key."""

from __future__ import annotations

import os
import sys

from kttun.errors import KttunError
from kttun.gateway.server import Server
from kttun.rendezvous import ENVIRONMENT_NAME, GatewaySettings


def main() -> int:
    """Serve one session as the environment says; exit codes as everywhere in kttun."""
    try:
        settings = GatewaySettings.from_json(os.environ.get(ENVIRONMENT_NAME, ""))
    except ValueError as error:
        print(f"kttun-gateway: {ENVIRONMENT_NAME} cannot be read: {error}", file=sys.stderr)
        return 2
    try:
        reason = Server(settings, say=lambda line: print(line, flush=True)).run()
    except KttunError as error:
        print(f"kttun-gateway: {error.message}", *(f"hint: {hint}" for hint in error.hints), sep="\n", file=sys.stderr)
        return error.exit_code
    print(f"ended: {reason}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
