"""The two files: where they are found, what is refused in them, and that each refusal names file and line."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttun.arguments import config_keys
from kttun.errors import EnvironmentFaultError, KttunError, UsageError
from kttun.settings import files
from kttun.settings.files import LONGEST, PROJECT_NAME, project_file, read_file, user_file
from kttun.settings.origin import Origin, Source


@pytest.fixture
def read(keys):
    """A function that reads a file and gives {key: (value, line)}."""

    def run(path, source=Source.USER):
        return {key.name: (value, origin.line) for key, value, origin in read_file(path, source, keys)}

    return run


def refusal(read, path, source=Source.USER, kind=UsageError):
    with pytest.raises(kind) as caught:
        read(path, source)
    assert caught.value.hints
    return caught.value.message.replace(str(path), "FILE")


def test_the_users_file_follows_xdg():
    assert str(user_file({"XDG_CONFIG_HOME": "/x", "HOME": "/h"})) == "/x/kttun/config.toml"
    for unset in ({}, {"XDG_CONFIG_HOME": ""}, {"XDG_CONFIG_HOME": "relative"}):
        assert str(user_file({"HOME": "/h", **unset})) == "/h/.config/kttun/config.toml"


def test_the_nearest_project_file_upwards_counts(write, tmp_path):
    outer, inner = write(f"a/{PROJECT_NAME}", ""), write(f"a/b/c/{PROJECT_NAME}", "")
    (tmp_path / "a/b/c/d").mkdir()
    assert project_file(tmp_path / "a/b/c/d") == inner
    assert project_file(tmp_path / "a/b") == outer


def test_each_value_comes_with_its_line(write, read):
    path = write("f", '# mine\ncontext = "lab"\n\n"linger"=  90\nexclude = [\n  "10.0.0.0/8",\n]\n[nothing]\n')
    path.write_text(path.read_text().replace("[nothing]\n", "quiet = true"))
    found = read(path)
    assert {name: line for name, (_, line) in found.items()} == {"context": 2, "linger": 4, "exclude": 5, "quiet": 8}
    assert found["linger"][0] == 90.0


def test_no_file_says_nothing(tmp_path, read):
    assert read(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('imgae = "x"', "FILE:1: unknown key imgae", "did you mean image?"),
        ("\ngateway_timeout = 5", "FILE:2: unknown key gateway_timeout", "did you mean gateway-timeout?"),
        ('excludeIps = "10.0.0.0/8"', "FILE:1: unknown key excludeIps", "did you mean exclude?"),
        ("[up]\nquiet = true", "FILE:1: unknown key up", "did you mean "),
        ("dry-run = true", "FILE:1: unknown key dry-run", "did you mean "),
        ("zzz.y = 1", "FILE:1: unknown key zzz", "did you mean "),
    ],
)
def test_an_unknown_key_names_the_nearest(write, read, text, message, hint):
    path = write("f", text)
    with pytest.raises(UsageError) as caught:
        read(path)
    assert caught.value.message == message.replace("FILE", str(path))
    assert caught.value.hints[0].startswith(hint)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('\nquiet = "yes"', "FILE:2: quiet takes true or false, not a string"),
        ('dns = "bind"', "FILE:1: dns: 'bind' is none of auto, resolved, resolvconf, off"),
        ('pod-cidr = "10.0.0.1/8"', "FILE:1: pod-cidr: '10.0.0.1/8' has bits set behind its prefix; 10.0.0.0/8 is"),
        ("quiet = yes", "FILE:1: not TOML: Invalid value"),
        ("quiet = true\nquiet = true", "FILE:2: not TOML: Cannot overwrite a value"),
        ('quiet = true\ncontext = "', "FILE:2: not TOML: "),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(write, read, text, message):
    assert message in refusal(read, write("f", text))


def test_nothing_that_is_written_moves_the_terminals_cursor(write, read):
    assert refusal(read, write("f", r'"a\u001b[2J" = 1')) == r"FILE: unknown key 'a\x1b[2J'"
    assert "control characters" in refusal(read, write("f", r'context = "a\u009b2J"'), Source.PROJECT)
    assert "control characters" in refusal(read, write("f", 'dns = "off\\n"'), Source.PROJECT)


def test_a_file_where_a_folder_is_expected_is_no_configuration(write, read, tmp_path):
    write("config", "")
    assert read(tmp_path / "config/kttun/config.toml") == {}


def test_a_file_that_is_not_utf8_is_refused(tmp_path, read):
    (tmp_path / "f").write_bytes(b'context = "\xff"')
    assert refusal(read, tmp_path / "f") == "FILE is not UTF-8, which TOML is"


def test_what_is_no_readable_file_is_a_fault_of_the_environment(tmp_path, write, read):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    assert refusal(read, tmp_path / "fifo", kind=EnvironmentFaultError) == "FILE is not a file"
    assert "cannot be read" in refusal(read, tmp_path / "folder", kind=EnvironmentFaultError)
    long = write("long", "#" * (LONGEST + 1))
    assert refusal(read, long, kind=EnvironmentFaultError) == f"FILE is longer than {LONGEST} bytes"


def test_a_path_is_relative_to_its_file_and_knows_the_home(write, read, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/h")
    assert read(write("x/f", 'kubeconfig = "k"'))["kubeconfig"] == (tmp_path / "x/k", 1)
    assert str(read(write("x/f", 'kubeconfig = "~/k"'))["kubeconfig"][0]) == "/h/k"
    assert str(read(write("x/f", 'kubeconfig = "/k"'))["kubeconfig"][0]) == "/k"


@pytest.mark.parametrize(
    "text",
    ['kubeconfig = "k"', 'image = "x"', 'service-account = "x"', 'image-pull-secret = "x"', "quiet = true"],
)
def test_a_project_file_gives_no_power(write, read, text):
    name = text.split()[0]
    path = write("f", text)
    assert refusal(read, path, Source.PROJECT) == (
        f"FILE:1: {name} may not stand in a project file, which somebody else may have written"
    )
    assert read(path, Source.USER)


@pytest.mark.parametrize("key", ["include", "pod-cidr", "service-cidr"])
@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "128.0.0.0/1", "::/0", "140.82.0.0/16", "8.8.8.8", "10.0.0.0/7"])
def test_a_project_file_draws_no_public_network_into_the_tunnel(write, read, key, cidr):
    path = write("f", f'{key} = ["10.1.0.0/16", "{cidr}"]')
    assert "is not a private network" in refusal(read, path, Source.PROJECT)
    assert read(path, Source.USER)


@pytest.mark.parametrize("cidr", ["10.1.0.0/16", "172.31.0.0/24", "192.168.7.9", "100.64.0.0/10", "fd00::/8"])
def test_a_project_file_may_name_private_networks_and_exclude_any(write, read, cidr):
    assert read(write("f", f'include = "{cidr}"\nexclude = "0.0.0.0/0"'), Source.PROJECT).keys() == {
        "include",
        "exclude",
    }


@pytest.mark.parametrize(
    ("me", "owner", "taken"), [(1000, 1000, True), (1000, 0, True), (0, 7, True), (1000, 7, False)]
)
def test_a_project_file_of_another_user_is_refused(write, read, monkeypatch, me, owner, taken):
    path = write("f", "linger = 5")
    real = os.fstat
    monkeypatch.setattr(files.os, "geteuid", lambda: me)

    def fstat(number):
        found = list(real(number))
        found[4] = owner  # st_uid (os.stat_result)
        return os.stat_result(found)

    monkeypatch.setattr(files.os, "fstat", fstat)
    if taken:
        assert read(path, Source.PROJECT)
    else:
        assert refusal(read, path, Source.PROJECT) == "FILE belongs to another user (uid 7)"


def test_the_origin_is_the_file_and_its_line(write, keys):
    path = write("f", "\nlinger = 5")
    [(_, _, origin)] = read_file(path, Source.USER, keys)
    assert origin == Origin(Source.USER, path, 2)
    assert origin.to_json() == {"source": "user file", "file": str(path), "line": 2}


KEYS = config_keys()


@given(
    text=st.one_of(st.text(max_size=60), st.from_regex(r"[a-z-]{1,9} = (\[\"[0-9./]{0,9}\"\]|\"[a-z0-9]*\"|[0-9]+)"))
)
def test_no_text_is_more_than_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(text.encode(errors="replace"))
    try:
        found = list(read_file(path, Source.PROJECT, KEYS))
    except KttunError as error:
        found = [error.message]
    assert all(found)
