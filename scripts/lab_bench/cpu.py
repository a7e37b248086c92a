"""Processor time by group of processes, from /proc: kttun's processes, the cluster's, and the machine as a whole."""

from __future__ import annotations

import os
from pathlib import Path

HERTZ = os.sysconf("SC_CLK_TCK")

BY_NAME = {
    "kube-apiserver": "API server",
    "kubelet": "kubelet",
    "containerd": "containerd",
    "containerd-shim": "containerd",
    "kubectl": "kubectl",
    "ssh": "ssh",
    "sshd": "sshd",
    "ends": "ends",
}
MACHINE = "whole machine"
OTHERS = "others"
"""What the machine did beside all groups: clients that have ended already, and whoever else works on it."""


def group_of(name: str, words: list[str]) -> str | None:
    """Say which group a process belongs to, by its short name and its command line."""
    if name in BY_NAME:
        return BY_NAME[name]
    programs = {word.rpartition("/")[2] for word in words}
    signs = (
        ("gateway", "kttun.gateway" in programs),
        ("worker", {"-m", "kttun", "up"} <= programs),
        ("helper", {"kttun", "up"} <= programs),
        ("sshuttle", "sshuttle" in programs),
        ("sshuttle server", any("assembler" in word for word in words)),
    )
    return (
        next((group for group, so in signs if so), None) if name.startswith(("python", "kttun", "sshuttle")) else None
    )


def processes() -> dict[int, str]:
    """List the processes of all groups."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text().strip()
            words = (folder / "cmdline").read_text().split("\0")
        except OSError:
            continue
        group = group_of(name, words)
        if group:
            found[int(folder.name)] = group
    return found


def used() -> dict[str, float]:
    """Return core-seconds by group since their processes started, and of the machine since it did."""
    seconds = {MACHINE: machine()}
    for pid, group in processes().items():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        seconds[group] = seconds.get(group, 0.0) + (int(fields[11]) + int(fields[12])) / HERTZ  # utime and stime
    return seconds


def machine() -> float:
    """Return core-seconds that were not idle: proc_stat(5) without idle and iowait, and guests counted once."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / HERTZ


def spent(before: dict[str, float]) -> dict[str, float]:
    """Return core-seconds by group since `before`; groups that did nothing are left out.

    Short-lived clients count among the others: they have ended when the second look is taken.
    """
    now = used()
    gone = {group: now[group] - before.get(group, 0.0) for group in now}
    gone[OTHERS] = 2 * gone[MACHINE] - sum(gone.values())
    return {group: seconds for group, seconds in gone.items() if seconds > 0}


def memory() -> dict[str, int]:
    """Return resident bytes of kttun's processes, by group."""
    resident = {}
    for pid, group in processes().items():
        if group in ("worker", "helper", "gateway"):
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            resident[group] = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))
    return resident
