"""Sessions of every kind, from their beginning to their end."""

from __future__ import annotations

import json

import pytest

from .lab import service_address, wait_until_gone
from .laptop import snapshot

pytestmark = pytest.mark.cluster


def test_status_without_a_session_is_exit_code_3_and_empty_json(dev):
    done = dev.kttun("status", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (3, {"schema": 1, "sessions": []})


@pytest.mark.parametrize("carrier", ["spdy", "websocket"])
def test_each_carrier_carries_a_session(dev, carrier):
    with dev.connected("feature-1", "--session", f"by-{carrier}", "--carrier", carrier):
        (lane,) = dev.status(f"by-{carrier}")["lanes"]
        assert lane["carrier"] == carrier
        same = dev.client("uploads", "http://ends:8080/sha256", 2, 5_000_000)
        assert same == [{"bytes": 5_000_000, "same": True}] * 2
    wait_until_gone("feature-1", f"by-{carrier}")


@pytest.mark.parametrize("code", [0, 7])
def test_up_with_a_command_ends_with_its_exit_code_and_output(dev, code):
    before = snapshot()
    script = f"curl -sf http://web/ && id -un && exit {code}"
    with dev.up("feature-1", "--session", "command", "--", "sh", "-c", script) as up:
        assert up.wait(60) == code
    server, user = str(up.stdout).split()
    assert server.startswith("web-")
    assert user == "dev"
    assert snapshot() == before
    wait_until_gone("feature-1", "command")


def test_up_with_a_command_that_does_not_exist_is_one_error(dev):
    with dev.up("feature-1", "--session", "no-command", "--", "/absent/program") as up:
        assert up.wait(60) == 1
    assert "kttun: cannot run /absent/program: No such file or directory" in str(up.stderr)
    wait_until_gone("feature-1", "no-command")


def test_dry_run_prints_the_plan_without_root_and_changes_nothing(dev):
    before = snapshot()
    done = dev.kttun("up", "feature-1", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "tunnel" in done.stdout
    assert snapshot() == before


def test_root_without_sudo_can_connect_as_well(admin):
    with admin.connected("feature-1", "--session", "by-root"):
        assert admin.client("addresses", "web") == [service_address("web")]
        assert admin.output("curl", "-sf", "http://web/").startswith("web-")
    wait_until_gone("feature-1", "by-root")


def test_down_ends_a_session_and_can_be_repeated(dev):
    before = snapshot()
    with dev.connected("feature-1", "--session", "ended-by-down") as up:
        assert dev.kttun("down", "--session", "ended-by-down", sudo=True).returncode == 0
        assert up.wait() == 0
    assert snapshot() == before
    assert dev.kttun("down", sudo=True).returncode == 0
    wait_until_gone("feature-1", "ended-by-down")
