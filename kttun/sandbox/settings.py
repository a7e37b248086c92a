"""What a sandbox is asked to be: a frozen value that travels to its process as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Self

from kttun.sandbox.shape import Shape


@dataclass(frozen=True, slots=True)
class Settings:
    """One sandbox."""

    shape: Shape
    images: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of images and the words that each stands for."""
    examples: bool = True
    uid: int = 0
    gid: int = 0
    """Whose the kubeconfigs are."""

    def to_json(self) -> str:
        """Give the value as text."""
        networks = [str(each) for each in (self.shape.node_net, self.shape.pod_cidr, self.shape.service_cidr)]
        return json.dumps(
            {"networks": networks, "images": self.images, "examples": self.examples, "uid": self.uid, "gid": self.gid}
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the value back. Raises `ValueError`, `KeyError` for something else."""
        told = json.loads(text)
        return cls(
            shape=Shape(*map(IPv4Network, told["networks"])),
            images={name: tuple(words) for name, words in told["images"].items()},
            examples=told["examples"],
            uid=told["uid"],
            gid=told["gid"],
        )
