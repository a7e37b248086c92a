"""The gateway's rules as text, and what becomes of nft's refusals; a real nft loads them in tests/netns."""

import os
from ipaddress import ip_interface

import pytest

from kttun.errors import EnvironmentFaultError
from kttun.gateway import kernel

RULES = """\
table inet kttun
delete table inet kttun
table inet kttun {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr 198.18.0.1 oifname != "kttun0" masquerade
    ip6 saddr fd6b:7474:756e::1 oifname != "kttun0" masquerade
  }
  chain forward {
    type filter hook forward priority filter;
    oifname "kttun0" ct state != { established, related } reject
  }
}
"""


def test_the_laptop_goes_out_as_the_pod_and_nobody_comes_in_unasked():
    laptop = (ip_interface("198.18.0.1/30"), ip_interface("fd6b:7474:756e::1/126"))
    assert kernel.ruleset(laptop, "kttun0") == RULES


@pytest.fixture
def nft(tmp_path, monkeypatch):
    """A function that puts a line of shell in the place of nft; the real one is out of reach."""
    monkeypatch.setenv("PATH", os.fspath(tmp_path))

    def put(line):
        path = tmp_path / "nft"
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    return put


def test_the_rules_are_loaded_in_one_transaction(nft, tmp_path):
    nft(f'echo "$*" > {tmp_path}/words; /bin/cat > {tmp_path}/rules')
    kernel.load(RULES)
    assert (tmp_path / "words").read_text() == "-f -\n"
    assert (tmp_path / "rules").read_text() == RULES


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('echo "Error: Operation not permitted" >&2; echo more >&2; exit 1', "Error: Operation not permitted"),
        ("exit 3", "exit code 3"),
        ("echo >&2; exit 4", "exit code 4"),
    ],
)
def test_a_refusal_is_told_in_nfts_own_words(nft, line, why):
    nft(line)
    with pytest.raises(EnvironmentFaultError) as caught:
        kernel.load(RULES)
    assert caught.value.message == f"nft refused the gateway's rules: {why}"


def test_an_image_without_nft_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(EnvironmentFaultError, match="the gateway image has no nft program") as caught:
        kernel.load(RULES)
    assert caught.value.hints
