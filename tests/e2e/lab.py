"""The cluster under test, whoever provides it: its administrator's view, and what lies behind the API."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from .cluster_user import ClusterUser
from .processes import all_processes
from .waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from .processes import Process
    from .provider import Provider

REPO = Path(__file__).resolve().parents[2]
KTTUN = REPO / ".venv" / "bin" / "kttun"
WORKLOADS = Path(__file__).with_name("workloads")

OURS = "app.kubernetes.io/managed-by=kttun"
SESSION = "kttun.dev/session"
KINDS = (
    "jobs", "pods", "services", "configmaps", "secrets", "serviceaccounts", "roles", "rolebindings", "endpointslices",
    "leases", "networkpolicies",
)  # fmt: skip
GONE_S = 120
"""How soon a namespace holds nothing of a session any more, however it ended: the bound that kttun promises."""
READY_S = 60


class Lab:
    """The provider of this run, and the users of its cluster; there is one, `LAB`."""

    provider: Provider

    def __init__(self) -> None:
        self._users: dict[str, ClusterUser] = {}

    @property
    def admin(self) -> ClusterUser:
        return self.user("admin")

    def user(self, name: str) -> ClusterUser:
        """Give a cluster user as he calls from the laptop, by the kubeconfig that there is now."""
        if name not in self._users:
            self._users[name] = ClusterUser(self.provider.run / "users" / name, self.provider.laptop_net)
        return self._users[name]

    def close(self) -> None:
        """Forget all users and their connections; the cluster may be another one afterwards."""
        for user in self._users.values():
            user.close()
        self._users.clear()

    def prepare(self) -> None:
        """Make a running cluster ready for the tests: images, workloads, and `dev` with the printed Role."""
        self.close()
        self.provider.provide_images()
        apply_workloads()
        add_user("dev", "feature-1", printed_roles("dev", "feature-1"))


LAB = Lab()


def apply_workloads() -> None:
    """Have the pods of the tests run and their Services answer; what is there already stays as it is."""
    for file in ("namespaces", "feature-1", "feature-2"):
        LAB.admin.apply((WORKLOADS / f"{file}.yaml").read_text())
    for namespace in ("feature-1", "feature-2"):
        wait_until_available(namespace)
        url = f"http://{service_address('web', namespace)}/"
        # Whatever translates Services is the last to know.
        answers = ("nsenter", f"--net={LAB.provider.node_net}", "curl", "-s", "-o/dev/null", "-m1", url)
        until(lambda words=answers: not subprocess.run(words, check=False).returncode, READY_S, f"an answer of {url}")


def wait_until_available(namespace: str) -> None:
    """Wait until all Deployments of a namespace have their pods."""
    until(lambda: all(map(_available, get(["deployments"], namespace))), READY_S, f"all pods of {namespace}")


def _available(deployment: dict[str, Any]) -> bool:
    wanted = deployment["spec"].get("replicas", 1)
    return bool(deployment.get("status", {}).get("availableReplicas", 0) >= wanted)


def get(kinds: Iterable[str], namespace: str, selector: str = "") -> list[dict[str, Any]]:
    """Give the objects of these kinds."""
    return LAB.admin.get(kinds, namespace, selector)


def pods(app: str, namespace: str = "feature-1") -> list[str]:
    """Give the addresses of a workload's pods that run."""
    return sorted(
        pod["status"]["podIP"]
        for pod in get(["pods"], namespace, f"app={app}")
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    )


def unused_pod_address() -> str:
    """Give an address of the pods' network that no pod has: the last of its /24."""
    return pods("ends")[0].rpartition(".")[0] + ".254"


def service_address(name: str, namespace: str = "feature-1") -> str:
    return str(LAB.admin.read("services", namespace, name)["spec"]["clusterIP"])


def kubeconfig(user: str) -> dict[str, Any]:
    """Give the kubeconfig of a cluster user: one cluster, one context, one user."""
    found: dict[str, Any] = yaml.safe_load((LAB.provider.run / "users" / user).read_text())
    return found


def api_address() -> str:
    """Give the API server's address."""
    return str(urlsplit(kubeconfig("admin")["clusters"][0]["cluster"]["server"]).hostname)


def fault(verb: str, component: str) -> None:
    """Break a component (kill, stop, away) or put it right (cont, restart)."""
    LAB.provider.fault(verb, component)


def leaks(*, reset: bool = False) -> str:
    """Give what the laptop sent to its LAN that belongs to the cluster, as lines `packets: N` and `questions: N`."""
    return LAB.provider.leaks(reset=reset)


def pods_do_not_forward() -> AbstractContextManager[None]:
    """Let new pods have net.ipv4.ip_forward = 0, as Calico's do."""
    return LAB.provider.pods_do_not_forward()


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


def gateway_net(pod: str) -> Path:
    """Give the network namespace of a gateway pod."""
    return _net(
        lambda process: "kttun.gateway" in process.words and f"HOSTNAME={pod}" in process.environment, f"pod {pod}"
    )


def workload_net(address: str) -> Path:
    """Give the network namespace of the workload's pod that has this address."""
    return _net(
        lambda process: LAB.provider.is_workload(process.words) and address in process.addresses, f"workload {address}"
    )


def _net(wanted: Callable[[Process], bool], what: str) -> Path:
    for process in all_processes():
        try:
            if wanted(process):
                return Path("/proc", str(process.pid), "ns", "net")
        except OSError:
            continue  # it has ended meanwhile
    raise AssertionError(f"no process of {what}")


def add_user(name: str, namespace: str, roles: str) -> None:
    """Make a cluster user, a service account, who has these roles (YAML) and nothing else."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    LAB.admin.apply(yaml.safe_dump(account))
    LAB.admin.apply(roles, namespace)
    config = kubeconfig("admin")
    config["users"] = [{"name": name, "user": {"token": LAB.admin.token(name, namespace)}}]
    config["contexts"][0]["context"] |= {"user": name, "namespace": namespace}
    (LAB.provider.run / "users" / name).write_text(yaml.safe_dump(config))


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
