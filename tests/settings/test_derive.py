"""Keys are the options, whatever options there are."""

import argparse
from pathlib import Path

from kttun.arguments import make_parser
from kttun.settings.derive import PROJECT_KEYS, keys_of
from kttun.settings.key import Kind

POWERFUL = {"kubeconfig", "image", "image-pull-secret", "service-account", "quiet", "debug", "color"}


def long_names(parser):
    return {name.removeprefix("--") for action in parser._actions for name in action.option_strings[:2] if "--" in name}


def test_every_option_of_up_is_a_key_but_those_that_mean_one_run(keys):
    up = make_parser().parse_args(["up"]).parser
    spelled_twice = {"includeIps", "excludeIps"}
    assert {key.name for key in keys} == long_names(up) - spelled_twice - {"help", "dry-run", "no-config"}


def test_a_project_may_set_all_keys_but_those_that_give_power(keys):
    assert {key.name for key in keys if not key.in_project} == POWERFUL
    assert {key.name for key in keys} >= PROJECT_KEYS


def test_a_new_option_is_a_key_that_no_project_may_set():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("-l", "--log", type=Path)
    parser.add_argument("--detach", action="store_true")
    lanes, log, detach = keys_of(parser)
    assert [key.kind for key in (lanes, log, detach)] == [Kind.NUMBER, Kind.TEXT, Kind.SWITCH]
    assert (lanes.from_toml(3), log.is_path, log.name) == (3, True, "log")
    assert not any(key.in_project for key in (lanes, log, detach))
