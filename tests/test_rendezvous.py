"""What both ends tell each other survives the way, and what is not that is refused with its key."""

import base64
import json
from ipaddress import IPv4Interface, IPv6Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.rendezvous import LONGEST_LINGER_S, GatewayReport, GatewaySettings

v4 = st.builds(IPv4Interface, st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)))
v6 = st.builds(IPv6Interface, st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)))
interfaces = st.lists(v4 | v6, max_size=2).map(tuple)
texts = st.lists(st.text(max_size=20), max_size=3).map(tuple)

settings_values = st.builds(
    GatewaySettings,
    client_key=st.binary(min_size=32, max_size=32),
    session_id=st.binary(min_size=16, max_size=16),
    port=st.integers(1, 65535),
    laptop=interfaces,
    gateway=interfaces,
    linger_s=st.floats(min_value=0.001, max_value=LONGEST_LINGER_S),
    engine=st.text(max_size=10),
)
report_values = st.builds(
    GatewayReport,
    version=st.text(max_size=20),
    offloads=st.integers(0, 255),
    engine=st.text(max_size=10),
    engine_reason=st.text(max_size=20),
    pod_mtu=st.integers(0, 65535),
    forwards_ipv4=st.booleans(),
    forwards_ipv6=st.booleans(),
    networks=interfaces.map(lambda each: tuple(str(interface.network) for interface in each)),
    nameservers=texts,
    search=texts,
    host=st.text(max_size=20),
)

GOOD = GatewaySettings(
    bytes(32), bytes(16), 7107, (IPv4Interface("198.18.0.1/30"),), (IPv4Interface("198.18.0.2/30"),), 60
)


@given(settings_values)
def test_settings_survive_the_way(settings):
    assert GatewaySettings.from_json(settings.to_json()) == settings


@given(report_values)
def test_a_report_survives_the_way(report):
    assert GatewayReport.from_json(report.to_json()) == report


def test_settings_are_one_line_that_a_person_can_read():
    assert json.loads(GOOD.to_json()) == {
        "client_key": base64.b64encode(bytes(32)).decode(),
        "session_id": "00" * 16,
        "port": 7107,
        "laptop": ["198.18.0.1/30"],
        "gateway": ["198.18.0.2/30"],
        "linger_s": 60,
        "engine": "kernel",
    }
    assert "\n" not in GOOD.to_json()


def test_keys_of_a_later_release_are_ignored():
    assert GatewaySettings.from_json(json.dumps({**json.loads(GOOD.to_json()), "lanes": 4})) == GOOD
    report = GatewayReport("1", 7)
    assert GatewayReport.from_json(json.dumps({**json.loads(report.to_json()), "mood": "fine"}).encode()) == report


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("client_key", "AAAA"),
        ("client_key", "not base64!"),
        ("client_key", "\xfc" * 44),
        ("client_key", 7),
        ("session_id", "00"),
        ("session_id", "zz" * 16),
        ("session_id", None),
        ("port", 0),
        ("port", 65536),
        ("port", "7107"),
        ("port", True),
        ("laptop", "198.18.0.1/30"),
        ("laptop", ["web"]),
        ("laptop", [7]),
        ("gateway", ["198.18.0.2/33"]),
        ("linger_s", 0),
        ("linger_s", -1),
        ("linger_s", float("nan")),
        ("linger_s", float("inf")),
        ("linger_s", 10**400),
        ("linger_s", True),
        ("linger_s", "60"),
        ("engine", None),
    ],
)
def test_a_wrong_setting_is_named(key, value):
    with pytest.raises(ValueError, match=key):
        GatewaySettings.from_json(json.dumps({**json.loads(GOOD.to_json()), key: value}))


@pytest.mark.parametrize("key", list(json.loads(GOOD.to_json())))
def test_a_missing_setting_is_named(key):
    data = json.loads(GOOD.to_json())
    del data[key]
    with pytest.raises(ValueError, match=key):
        GatewaySettings.from_json(json.dumps(data))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 1),
        ("offloads", "7"),
        ("offloads", True),
        ("pod_mtu", 1500.5),
        ("forwards_ipv4", 1),
        ("networks", "10.0.0.0/8"),
        ("networks", ["10.0.0.1/8"]),
        ("networks", ["web"]),
        ("nameservers", [10]),
        ("search", None),
        ("host", []),
    ],
)
def test_a_wrong_part_of_a_report_is_named(key, value):
    data = json.loads(GatewayReport("1", 7).to_json())
    with pytest.raises(ValueError, match=key):
        GatewayReport.from_json(json.dumps({**data, key: value}).encode())


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "null", "7", '"x"'])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - json says it in its own words
        GatewaySettings.from_json(text)


@given(st.binary(max_size=200))
def test_no_bytes_are_worse_than_a_value_error(payload):
    with pytest.raises(ValueError):  # noqa: PT011 - json says it in its own words
        GatewayReport.from_json(payload)
