"""What the end-to-end tests need of whoever provides the cluster and the laptop beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path


class Provider(Protocol):
    """A cluster, and a laptop that reaches its API server and nothing else of it.

    `run` is what scripts/lab/enter.py reads: `users/NAME` are the kubeconfigs of cluster users, `users/admin` the
    administrator's, `pid/laptop` is the laptop's first process.
    """

    @property
    def name(self) -> str: ...
    @property
    def run(self) -> Path: ...
    @property
    def laptop_net(self) -> Path:
        """The laptop's network namespace."""

    @property
    def node_net(self) -> Path:
        """The node's, which routes to all pods and where Services are translated."""

    def available(self) -> AbstractContextManager[None]:
        """Have the cluster up, and the laptop for this run alone: tests compare it before and after."""

    def provide_images(self) -> None:
        """Let the node have the gateway's image as the code is now."""

    def fault(self, verb: str, component: str) -> None:
        """Break a component or put it right, as `scripts/cluster fault` does."""

    def leaks(self, *, reset: bool = False) -> str:
        """Give what the laptop sent to its LAN that belongs to the cluster, as scripts/lab/leaks.sh prints it."""

    def reshaped(self, *, node_net: str, pod_cidr: str) -> AbstractContextManager[None]:
        """Have a new cluster with these networks, its API server behind the laptop's default gateway, for a while."""

    def pods_do_not_forward(self) -> AbstractContextManager[None]:
        """Let new pods have net.ipv4.ip_forward = 0, as Calico's do."""

    def expired(self, token: str) -> str:
        """Give a token like this one of a service account that was good until an hour ago, signed by the same key."""

    def carriers(self, gateway: Path) -> Sequence[tuple[Path, str]]:
        """Give (network namespace, device) of each place where a tunnel's bytes cross without the API server's TLS.

        `gateway` is the network namespace of its pod.
        """

    def router(self, network: str, pod: Path, address: str) -> AbstractContextManager[Path]:
        """Give the network namespace of a router that is as far from all other pods as a gateway pod is.

        They answer to `network` by way of it. It may be this pod, of which nothing else is wanted meanwhile.
        """

    def is_workload(self, words: Sequence[str]) -> bool:
        """Tell by its command line whether a process is the program of the pods in tests/e2e/workloads."""
