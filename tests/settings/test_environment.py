"""Variables: what they set, and which slips of the finger are noticed."""

import pytest

from kttun.config import DnsMode
from kttun.errors import UsageError
from kttun.settings.environment import read_environment
from kttun.settings.origin import Origin, Source


def read(keys, **environ):
    return [(key.name, value, str(origin)) for key, value, origin in read_environment(environ, keys)]


def test_a_variable_sets_its_key_and_is_its_origin(keys):
    assert read(keys, KTTUN_DNS="off", HOME="/", KTTUN_GATEWAY_TIMEOUT="5m") == [
        ("dns", DnsMode.OFF, "KTTUN_DNS"),
        ("gateway-timeout", 300.0, "KTTUN_GATEWAY_TIMEOUT"),
    ]


def test_an_empty_variable_sets_nothing(keys):
    assert read(keys, KTTUN_DNS="", KTTUN_EXCLUDE="") == []


def test_a_bad_value_names_its_variable(keys):
    with pytest.raises(UsageError, match=r"^KTTUN_DNS: 'bind' is none of auto, resolved, resolvconf, off$"):
        read(keys, KTTUN_DNS="bind")


@pytest.mark.parametrize(
    ("slip", "meant"), [("EXLUDE", "EXCLUDE"), ("DSN", "DNS"), ("PODCIDR", "POD_CIDR"), ("NAME_SPACE", "NAMESPACE")]
)
def test_a_slip_names_the_nearest_variable(keys, slip, meant):
    with pytest.raises(UsageError) as caught:
        read(keys, **{f"KTTUN_{slip}": "x"})
    assert caught.value.message == f"KTTUN_{slip} sets nothing"
    assert caught.value.hints == (f"did you mean KTTUN_{meant}?",)


@pytest.mark.parametrize(
    "foreign",
    [
        *("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR"),
        *("GATEWAY_SERVICE_HOST", "GATEWAY_PORT_443_TCP_PROTO", "GATEWAY", "HELPER_FD", "LAB"),
    ],
)
def test_what_pods_and_tests_set_is_left_alone(keys, foreign):
    assert read(keys, **{f"KTTUN_{foreign}": "tcp://10.0.0.1:80"}) == []


def test_the_origin_tells_its_kind_to_scripts(keys):
    [(_, _, origin)] = read_environment({"KTTUN_DNS": "off"}, keys)
    assert origin == Origin(Source.ENVIRONMENT, variable="KTTUN_DNS")
    assert origin.to_json() == {"source": "environment", "variable": "KTTUN_DNS"}
