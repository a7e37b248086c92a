"""What may stand behind a key, in a file and in a variable."""

from argparse import ArgumentTypeError
from datetime import date
from ipaddress import ip_network

import pytest

from kttun.config import DnsMode


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("quiet", True, True),
        ("context", "lab", "lab"),
        ("dns", "off", DnsMode.OFF),
        ("linger", "5m", 300.0),
        ("linger", 90, 90.0),
        ("linger", 0.5, 0.5),
        ("exclude", "10.0.0.0/8, fd00::/8", [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]),
        ("exclude", ["10.0.0.0/8", "fd00::/8"], [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]),
        ("exclude", [], []),
        ("node-selector", ["disk=ssd", "zone="], [("disk", "ssd"), ("zone", "")]),
        ("node-selector", "disk=ssd,zone=", [("disk", "ssd"), ("zone", "")]),
    ],
)
def test_toml_values_mean_what_the_option_would_mean(key, name, written, meant):
    assert key(name).from_toml(written) == meant


@pytest.mark.parametrize(
    ("name", "written", "text"),
    [
        ("quiet", "yes", "quiet takes true or false, not a string"),
        ("quiet", 1, "quiet takes true or false, not an integer"),
        ("context", 7, "context takes a string, not an integer"),
        ("context", ["lab"], "context takes a string, not such an array"),
        ("linger", True, "linger takes a string or a number, not a boolean"),
        ("linger", date(2026, 1, 1), "linger takes a string or a number, not a table or a date"),
        ("exclude", 1.5, "exclude takes a string or an array of strings, not a float"),
        ("exclude", ["10.0.0.0/8", 7], "exclude takes a string or an array of strings, not such an array"),
        ("node-selector", {"disk": "ssd"}, "not a table or a date"),
    ],
)
def test_a_wrong_type_is_named_as_toml_names_it(key, name, written, text):
    with pytest.raises(TypeError, match=text):
        key(name).from_toml(written)


@pytest.mark.parametrize(
    ("name", "written"),
    [("dns", "bind"), ("linger", "soon"), ("linger", -5), ("color", "pink"), ("exclude", ["web"]), ("session", "A/b")],
)
def test_a_bad_value_is_refused_as_on_the_command_line(key, name, written):
    with pytest.raises(ArgumentTypeError, match="'"):
        key(name).from_toml(written)


@pytest.mark.parametrize(("text", "meant"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("FALSE", False)])
def test_a_variable_switches_in_any_usual_word(key, text, meant):
    assert key("debug").from_text(text) is meant


def test_a_variable_that_is_neither_true_nor_false_is_refused(key):
    with pytest.raises(ArgumentTypeError, match="'maybe' is neither true nor false"):
        key("debug").from_text("maybe")


def test_names_follow_the_option(key):
    assert (key("pod-cidr").dest, key("pod-cidr").variable) == ("pod_cidr", "KTTUN_POD_CIDR")
