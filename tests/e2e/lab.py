"""The cluster as its administrator sees it: everything here goes by scripts/cluster, or into the node's namespaces."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from .waiting import until

REPO = Path(__file__).resolve().parents[2]
CLUSTER = REPO / "scripts" / "cluster"
KTTUN = REPO / ".venv" / "bin" / "kttun"
DIRECTORY = Path(os.environ.get("KTTUN_LAB") or Path.home() / ".cache" / "kttun-lab")
RUN = DIRECTORY / "run"
"""Everything that belongs to the running cluster and goes with it."""

NODE_NET = Path("/run/netns/kttun-lab-node")
LAPTOP_NET = Path("/run/netns/kttun-lab-laptop")

OURS = "app.kubernetes.io/managed-by=kttun"
SESSION = "kttun.dev/session"
KINDS = "jobs,pods,services,configmaps,secrets,serviceaccounts,roles,rolebindings,endpointslices,leases,networkpolicies"
GONE_S = 120
"""How soon a namespace holds nothing of a session any more, however it ended: the bound that kttun promises."""


def cluster(*words: str, stdin: str = "", seconds: float = 120) -> str:
    """Run scripts/cluster; give its stdout, fail with its stderr."""
    done = subprocess.run(
        [CLUSTER, *words], input=stdin, capture_output=True, text=True, timeout=seconds, check=False, cwd=REPO
    )
    assert done.returncode == 0, f"scripts/cluster {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def kubectl(*words: str, stdin: str = "") -> str:
    return cluster("kubectl", *words, stdin=stdin)


def get(kinds: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
    """Give the objects of these kinds."""
    found: list[dict[str, Any]] = json.loads(kubectl("get", kinds, "-n", namespace, "-l", selector, "-o", "json"))[
        "items"
    ]
    return found


def pods(app: str, namespace: str = "feature-1") -> list[str]:
    """Give the addresses of a workload's pods that run."""
    return sorted(
        pod["status"]["podIP"]
        for pod in get("pods", namespace, f"app={app}")
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    )


def unused_pod_address() -> str:
    """Give an address of the pods' network that no pod has: the last of its /24."""
    return pods("ends")[0].rpartition(".")[0] + ".254"


def service_address(name: str, namespace: str = "feature-1") -> str:
    found = json.loads(kubectl("get", "service", name, "-n", namespace, "-o", "json"))
    return str(found["spec"]["clusterIP"])


def shape() -> dict[str, str]:
    """Give the parameters that the cluster was brought up with."""
    return dict(line.split("=", 1) for line in (RUN / "parameters").read_text().splitlines())


def api_address() -> str:
    """Give the API server's address."""
    return shape()["NODE_NET"].rpartition(".")[0] + ".2"


def objects(namespace: str, session: str) -> list[str]:
    """Name everything in the namespace, whoever made it, except what belongs to other sessions."""
    return sorted(
        f"{each['kind']}/{each['metadata']['name']}"
        for each in get(KINDS, namespace)
        if each["metadata"].get("labels", {}).get(SESSION, session) == session
    )


def ours(namespace: str, session: str = "") -> list[str]:
    """Name all objects of kttun, of one session or of any."""
    selector = f"{OURS},{SESSION}={session}" if session else OURS
    return [f"{each['kind']}/{each['metadata']['name']}" for each in get(KINDS, namespace, selector)]


def wait_until_gone(namespace: str, session: str = "") -> None:
    """Wait until nothing of the session is in the namespace, as long as kttun may take for it at most."""
    until(lambda: not ours(namespace, session), GONE_S, f"nothing of session {session or 'any'} in {namespace}")


def gateway_process(pod: str) -> int:
    """Give the process of a gateway pod, as this machine numbers it."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = b"kttun.gateway" in (folder / "cmdline").read_bytes().split(b"\0")
            if ours and f"HOSTNAME={pod}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError(f"no process of pod {pod}")


def add_user(name: str, namespace: str, roles: str) -> None:
    """Make a cluster user who has these roles (YAML) and nothing else."""
    cluster("user", name, namespace, "--role-file", "-", stdin=roles)


def printed_roles(user: str, namespace: str) -> str:
    """Give what `kttun rbac` prints for a cluster user."""
    subject = f"system:serviceaccount:{namespace}:{user}"
    done = subprocess.run(
        [KTTUN, "rbac", "--user", subject, "--namespace", namespace],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
