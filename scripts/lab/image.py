"""Packs a container image as a docker-archive: image.py OUT.tar NAME:TAG LAYER... [-- ENTRYPOINT...].

A layer is a root file system (FILE.tar) or one program (FILE=/path/in/the/image). The same input gives the same bytes.
"""

import hashlib
import io
import json
import os
import sys
import tarfile
import tempfile
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def program_layer(program: Path, target: str, layer: Path) -> None:
    """Write a layer that holds one program."""
    with tarfile.open(layer, "w") as tar:
        info = tarfile.TarInfo(target.lstrip("/"))
        info.size, info.mode = program.stat().st_size, 0o755
        with program.open("rb") as content:
            tar.addfile(info, content)


def layers_of(arguments: list[str], scratch: Path) -> list[Path]:
    """Turn the layers as they were named into files."""
    layers = []
    for number, argument in enumerate(arguments):
        source, _, target = argument.partition("=")
        layer = Path(source)
        if target:
            layer = scratch / f"{number}.tar"
            program_layer(Path(source), target, layer)
        layers.append(layer)
    return layers


def digest(layer: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with layer.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a small file."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def pack(out: Path, name: str, layers: list[Path], entrypoint: list[str]) -> None:
    """Write the archive: configuration, manifest, layers."""
    digests = [digest(layer) for layer in layers]
    config = json.dumps(
        {
            "architecture": ARCHITECTURES[os.uname().machine],
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": {"Entrypoint": entrypoint, "Env": [f"PATH={SEARCH_PATH}"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{value}" for value in digests]},
        }
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    names = [f"{value}.tar" for value in digests]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": names}]).encode()
    with tarfile.open(out, "w") as tar:
        add_bytes(tar, config_name, config)
        add_bytes(tar, "manifest.json", manifest)
        for layer, layer_name in zip(layers, names, strict=True):
            info = tarfile.TarInfo(layer_name)
            info.size = layer.stat().st_size
            with layer.open("rb") as content:
                tar.addfile(info, content)


def main(arguments: list[str]) -> None:
    """Read the command line."""
    entrypoint: list[str] = []
    if "--" in arguments:
        border = arguments.index("--")
        arguments, entrypoint = arguments[:border], arguments[border + 1 :]
    out, name, *layers = arguments
    with tempfile.TemporaryDirectory(dir=Path(out).parent) as scratch:
        pack(Path(out), name, layers_of(layers, Path(scratch)), entrypoint)


if __name__ == "__main__":
    main(sys.argv[1:])
