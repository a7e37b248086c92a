"""The command line, words in and values out; what is wrong is told in one line with a hint."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun import __version__
from kttun.arguments import DEFAULT_IMAGE, parse
from kttun.config import (
    CarrierKind,
    ClusterChoice,
    DnsMode,
    Engine,
    GatewayChoice,
    RouteChoice,
    RoutesMode,
    UpConfig,
)
from kttun.errors import UsageError
from kttun.settings.origin import Origin, Source
from kttun.settings.settings import Settings

VERBS = ("up", "down", "status", "routes", "rbac", "version")


def networks(*texts):
    return tuple(map(ip_network, texts))


def refusal(line):
    with pytest.raises(UsageError) as caught:
        parse(line.split())
    error = caught.value
    assert error.exit_code == 2
    assert error.hints
    assert "\n" not in error.message
    assert not error.message.endswith(".")
    return error


def test_up_alone_asks_for_what_the_kubeconfig_says():
    assert parse(["up"]).config == UpConfig(cluster=ClusterChoice(), gateway=GatewayChoice(image=DEFAULT_IMAGE))


def test_every_option_of_up_arrives_in_its_value():
    line = (
        "up shop --kubeconfig=/k --context lab -s mine --include 10.1.0.0/16 --exclude 10.2.0.0/16 --service-cidr "
        "10.96.0.0/12 --pod-cidr 10.244.0.0/16 --routes addresses --dns off --carrier websocket --tun-name tun9 "
        "--dry-run --image r/i:1 --image-pull-secret pull --service-account robot --node-selector disk=ssd "
        "--node-selector zone= --engine kernel --gateway-timeout 5m --linger 90 --max-age 1.5h"
    )
    assert parse([*line.split(), "--", "make", "test", "--", "-x"]).config == UpConfig(
        cluster=ClusterChoice(Path("/k"), "lab", "shop"),
        gateway=GatewayChoice(
            image="r/i:1",
            image_pull_secret="pull",
            service_account="robot",
            node_selector=(("disk", "ssd"), ("zone", "")),
            engine=Engine.KERNEL,
            timeout_s=300.0,
            linger_s=90.0,
            max_age_s=5400.0,
        ),
        routes=RouteChoice(
            include=networks("10.1.0.0/16"),
            exclude=networks("10.2.0.0/16"),
            service_cidrs=networks("10.96.0.0/12"),
            pod_cidrs=networks("10.244.0.0/16"),
            mode=RoutesMode.ADDRESSES,
        ),
        session="mine",
        dns=DnsMode.OFF,
        carrier=CarrierKind.WEBSOCKET,
        tun_name="tun9",
        command=("make", "test", "--", "-x"),
        dry_run=True,
    )


def test_the_words_are_kept_as_they_were_for_the_worker():
    words = ["up", "a", "--debug", "--", "echo", "b c"]
    assert parse(words).words == words


@pytest.mark.parametrize("line", ["up shop", "up -n shop", "up --namespace=shop", "up shop -n shop"])
def test_the_namespace_may_be_named_in_each_way(line):
    assert parse(line.split()).config.cluster.namespace == "shop"


def test_two_namespaces_are_one_too_many():
    assert refusal("up shop -n bar").message == "two namespaces given: shop and bar"


@pytest.mark.parametrize(
    "line",
    [
        "--exclude 10.0.0.0/8,fd00::/8 --exclude 192.168.0.0/16",
        "--exclude=10.0.0.0/8 --exclude=fd00::/8,192.168.0.0/16",
        "--excludeIps 10.0.0.0/8 --exclude fd00::/8,,192.168.0.0/16,",
    ],
)
def test_networks_repeat_and_take_comma_lists(line):
    assert parse(["up", *line.split()]).config.routes.exclude == networks("10.0.0.0/8", "fd00::/8", "192.168.0.0/16")


def test_blanks_behind_commas_are_nothing():
    choice = parse(["up", "--include", "10.0.0.1, 10.0.0.2", "--includeIps", ""]).config.routes
    assert choice.include == networks("10.0.0.1/32", "10.0.0.2/32")


def test_one_command_line_leaves_nothing_for_the_next():
    parse(["up", "--exclude", "10.0.0.0/8"])
    assert parse(["up"]).config.routes == RouteChoice()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1.0),
        ("250ms", 0.25),
        ("90s", 90.0),
        ("1.5m", 90.0),
        ("24h", 86400.0),
        ("2d", 172800.0),
        ("366d", 3.16224e7),
    ],
)
def test_durations_have_units(text, seconds):
    assert parse(["up", "--linger", text]).config.gateway.linger_s == seconds


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "COMMAND"),
        ("fly", "invalid choice: 'fly'"),
        ("up --fly", "unrecognized arguments: --fly"),
        ("up a b", "unrecognized arguments: b"),
        ("up --excl 10.0.0.0/8", "unrecognized arguments: --excl"),
        ("up --exclude", "expected one argument"),
        ("up --exclude 10.0.0.1/8", "'10.0.0.1/8' has bits set behind its prefix; 10.0.0.0/8 is probably meant"),
        (
            "up --exclude ::ffff:10.0.0.0/104",
            "'::ffff:10.0.0.0/104' is IPv4 written as IPv6, which no packet has; 10.0.0.0/8 is probably meant",
        ),
        ("up --include ::ffff:10.0.0.1", "10.0.0.1/32 is probably meant"),
        ("up --exclude fd00::1/64", "'fd00::1/64' has bits set behind its prefix; fd00::/64 is probably meant"),
        ("up --exclude 10.0.0.0/33", "'10.0.0.0/33' is not a CIDR such as"),
        ("up --exclude fe80::%eth0/64", "'fe80::%eth0/64' is not a CIDR such as"),
        ("up --include 10.0.0.0/8,web", "'web' is not a CIDR such as"),
        ("up --includeIps web", "'web' is not a CIDR such as"),
        ("up --service-cidr 10.0.0.1-9", "is not a CIDR such as"),
        ("up --pod-cidr /", "'/' is not a CIDR such as"),
        ("up --linger 0", "'0' is not a duration"),
        ("up --linger -5", "'-5' is not a duration"),
        ("up --linger soon", "'soon' is not a duration"),
        ("up --linger 5w", "'5w' is not a duration"),
        ("up --linger 1e3", "'1e3' is not a duration"),
        ("up --max-age 9999d", "'9999d' is longer than a year"),
        ("up --gateway-timeout " + "9" * 400, "is longer than a year"),
        ("up --routes some", "'some' is none of auto, networks, addresses"),
        ("up --dns bind", "'bind' is none of auto, resolved, resolvconf, off"),
        ("up --carrier pigeon", "'pigeon' is none of auto, spdy, websocket"),
        ("up --engine userspace", "'userspace' is none of auto, kernel"),
        ("up --tun-name sixteen-letters-", "is not an interface name"),
        ("up --tun-name a/b", "is not an interface name"),
        ("up --tun-name ..", "is not an interface name"),
        ("up --node-selector disk", "'disk' is not KEY=VALUE"),
        ("up --node-selector =ssd", "'=ssd' is not KEY=VALUE"),
        ("up -s Mine", "'Mine' is not a name of"),
        ("up -s ../../etc", "is not a name of"),
        ("up --color pink", "invalid choice: 'pink'"),
        ("rbac --user u --group g", "not allowed with argument"),
        ("up --", "no command follows --"),
        ("--", "no command follows --"),
        ("down -- ls", "kttun down takes no command after --"),
        ("routes -- ls", "kttun routes takes no command after --"),
    ],
)
def test_wrong_usage_is_told_in_one_line(line, words):
    assert words in refusal(line).message


def test_the_hint_leads_to_the_help_of_the_command():
    assert refusal("up --linger 0").hints == ("kttun up --help",)
    assert refusal("down -- ls").hints == ("kttun down --help",)
    assert refusal("fly").hints == ("kttun --help",)


@pytest.mark.parametrize("words", [[], *([verb] for verb in VERBS)])
def test_each_command_explains_itself(words, capsys):
    with pytest.raises(SystemExit) as left:
        parse([*words, "--help"])
    assert left.value.code == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert " ".join(["usage: kttun", *words]) in said.out


def test_help_shows_the_values_of_a_choice_and_not_their_names(capsys):
    with pytest.raises(SystemExit):
        parse(["up", "--help"])
    said = capsys.readouterr().out
    assert "--dns {auto,resolved,resolvconf,off}" in said
    assert "DnsMode" not in said


def test_the_version_is_one_line(capsys):
    with pytest.raises(SystemExit) as left:
        parse(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"kttun {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_what_holds_everywhere_is_taken_everywhere(verb):
    line = f"{verb} --kubeconfig k --context c -n ns -s name --debug --quiet --color never"
    options = parse(line.split())
    assert (options.kubeconfig, options.context, options.namespace) == (Path("k"), "c", "ns")
    assert (options.session, options.debug, options.quiet, options.color) == ("name", True, True, "never")


def test_routes_takes_what_a_plan_is_made_of():
    options = parse(
        ["routes", "--plan", "--server", "u", "--connected", "10.0.0.0/24,fd00::/64", "--exclude", "10.0.0.9"]
    )
    assert (options.plan, options.server, options.json) == (True, "u", False)
    assert tuple(options.connected) == networks("10.0.0.0/24", "fd00::/64")
    assert options.choice == RouteChoice(exclude=networks("10.0.0.9/32"))


def configured(line, **values):
    """Parse with a configuration that holds `values`, each from a variable."""
    origins = {name: (Origin(Source.ENVIRONMENT, variable="V"),) for name in values}
    dashed = {name.replace("_", "-"): value for name, value in values.items()}
    return parse(line.split(), read=lambda _keys: Settings(dashed, origins))


def test_settings_weigh_less_than_words():
    config = configured("up --dns off", dns=DnsMode.RESOLVED, linger=5.0, context="lab").config
    assert (config.dns, config.gateway.linger_s, config.cluster.context) == (DnsMode.OFF, 5.0, "lab")


def test_lists_of_settings_and_words_add_up():
    config = configured("up --exclude 10.2.0.0/16", exclude=list(networks("10.1.0.0/16"))).config
    assert config.routes.exclude == networks("10.1.0.0/16", "10.2.0.0/16")
    selectors = configured("up --node-selector a=b", node_selector=[("c", "d")]).config.gateway.node_selector
    assert selectors == (("c", "d"), ("a", "b"))


def test_a_namespace_in_the_settings_is_no_second_namespace():
    assert configured("up other", namespace="shop").config.cluster.namespace == "other"
    assert configured("up -n other", namespace="shop").config.cluster.namespace == "other"
    assert configured("up", namespace="shop").config.cluster.namespace == "shop"
    assert configured("rbac", namespace="shop").namespace == "shop"


@pytest.mark.parametrize("verb", ["status", "down", "routes"])
def test_settings_hide_no_running_session(verb):
    options = configured(verb, namespace="shop", session="mine", quiet=True, color="never")
    assert (options.namespace, options.session) == (None, None)
    assert (options.quiet, options.color) == (True, "never")


def test_a_plan_is_computed_from_its_options_alone():
    assert configured("routes --plan", include=list(networks("10.1.0.0/16"))).choice == RouteChoice()


def broken(_keys):
    raise UsageError("FILE:1: unknown key", "did you mean")


def test_a_broken_configuration_stops_only_those_that_act_on_it():
    for line in ("up", "rbac", "config show"):
        with pytest.raises(UsageError, match="FILE:1"):
            parse(line.split(), read=broken)
    for line in ("down", "status", "routes", "version", "config path"):
        assert parse(line.split(), read=broken).unread.message == "FILE:1: unknown key"


def test_without_config_nothing_is_read():
    assert parse(["up", "--no-config"], read=broken).config == parse(["up"]).config


def test_wrong_words_are_told_before_any_file_is_read():
    with pytest.raises(UsageError, match="--fly"):
        parse(["up", "--fly"], read=broken)


def test_kubectls_plugin_is_called_as_kubectl_calls_it(capsys):
    with pytest.raises(SystemExit):
        parse(["up", "--help"], "kubectl tun")
    assert capsys.readouterr().out.startswith("usage: kubectl tun up [NS] [options] [-- CMD...]\n")
    with pytest.raises(UsageError) as caught:
        parse(["down", "--fly"], "kubectl tun")
    assert caught.value.hints == ("kubectl tun --help",)


@given(st.lists(st.text(max_size=20), max_size=6))
def test_no_words_are_more_than_wrong_usage(words):
    try:
        parsed = parse(["up", *words]).config
    except UsageError as error:
        parsed = error
    except SystemExit as left:  # --help and --version
        parsed = left.code
    assert parsed == 0 or isinstance(parsed, UpConfig | UsageError)


def test_the_sandbox_takes_networks_and_images():
    line = "sandbox start --pod-cidr 10.244.0.0/16 --image a:1=sleep --image b:1=true --no-examples"
    options = parse(line.split())
    assert (options.action, options.pod_cidr, options.node_net) == ("start", ip_network("10.244.0.0/16"), None)
    assert (options.image, options.examples) == (["a:1=sleep", "b:1=true"], False)


@pytest.mark.parametrize("cidr", ["fd00::/64", "10.0.0.0/16,10.1.0.0/16", "10.0.0.1/16", "nonsense"])
def test_a_network_of_the_sandbox_is_one_of_ipv4(cidr):
    refusal(f"sandbox start --pod-cidr {cidr}")


@pytest.mark.parametrize(
    "line", ["sandbox", "sandbox begin", "sandbox fault break apiserver", "sandbox fault kill etcd"]
)
def test_the_sandbox_knows_its_actions(line):
    refusal(line)
