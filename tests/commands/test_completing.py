"""Which names fit which place, by what the help calls it."""

import argparse
import json
from pathlib import Path

import pytest
from fakes.kube import Kube

from kttun.arguments import make_parser
from kttun.commands.completing import completer_of, places
from kttun.errors import UsageError


def nothing():
    return {}


@pytest.fixture
def place():
    """A function that makes one place of a command line."""
    return argparse.ArgumentParser().add_argument


def test_a_service_is_looked_for_in_the_namespace_that_was_typed(place, tmp_path):
    with Kube() as kube:
        kube.script["GET", "/api/v1/namespaces/shop/services"] = {"items": [{"metadata": {"name": "web"}}]}
        kubeconfig = tmp_path / "config"
        cluster = {"name": "lab", "cluster": {"server": kube.url}}
        context = {"name": "lab", "context": {"cluster": "lab", "namespace": "other"}}
        # YAML is a superset of JSON.
        kubeconfig.write_text(json.dumps({"current-context": "lab", "contexts": [context], "clusters": [cluster]}))
        completer = completer_of(place("svc", metavar="SVC"), lambda: {"kubeconfig": kubeconfig})
        assert completer(parsed_args=argparse.Namespace(namespace="shop"), prefix="") == ["web"]


def test_a_broken_configuration_gives_no_error(place, tmp_path, monkeypatch):
    def broken():
        raise UsageError("FILE:1: unknown key")

    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert completer_of(place("--context"), broken)(parsed_args=argparse.Namespace(), prefix="") == []


def test_a_choice_completes_to_what_the_help_shows(place):
    assert completer_of(place("--dns", metavar="{a,b}"), nothing)() == ["a", "b"]


def test_a_file_completes_to_files(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("kubeconfig").touch()
    assert completer_of(place("--kubeconfig", type=Path), nothing)(prefix="kube") == ["kubeconfig"]


def test_other_places_are_left_alone(place):
    assert completer_of(place("--image", metavar="REF"), nothing) is None


def test_every_place_of_every_command_is_seen():
    dests = {place.dest for place in places(make_parser())}
    assert {"verb", "ns", "session", "namespace", "shell", "what", "tun_name"} <= dests
