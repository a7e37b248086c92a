"""`kttun config`: what it prints is what `up` would take, and can be pasted into a file."""

import json
import tomllib

import pytest

from kttun.arguments import parse
from kttun.commands import config
from kttun.errors import UsageError
from kttun.settings.settings import read_settings


@pytest.fixture
def shown(tmp_path, monkeypatch, console, capsys):
    """A function from a command line to what it prints, in a home with a configuration."""
    home, work = tmp_path / "home", tmp_path / "work"
    (home / ".config/kttun").mkdir(parents=True)
    (home / ".config/kttun/config.toml").write_text('kubeconfig = "k"\nlinger = 90\nexclude = "10.1.0.0/16"\n')
    work.mkdir()
    (work / ".kttun.toml").write_text('node-selector = ["disk=ssd"]\nexclude = "10.2.0.0/16"\n')
    environ = {"HOME": str(home), "KTTUN_DNS": "off"}
    monkeypatch.setattr(config.os, "environ", environ)
    monkeypatch.chdir(work)

    def run(line):
        options = parse(line.split(), read=lambda keys: read_settings(keys, environ, work))
        assert config.run(options, console) == 0
        return capsys.readouterr().out

    return run


def test_each_value_stands_beside_its_origin(shown, tmp_path):
    lines = shown("config show --carrier spdy --exclude 10.3.0.0/16").splitlines()
    user, project = tmp_path / "home/.config/kttun/config.toml", tmp_path / "work/.kttun.toml"
    assert f'kubeconfig = "{user.parent}/k"  # {user}:1' in lines
    assert f"linger = 90.0  # {user}:2" in lines
    assert f'node-selector = ["disk=ssd"]  # {project}:1' in lines
    assert 'dns = "off"  # KTTUN_DNS' in lines
    assert 'carrier = "spdy"  # command line' in lines
    assert 'routes = "auto"  # default' in lines
    assert "# context is not set" in lines
    every = '["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]'
    assert f"exclude = {every}  # {user}:3, {project}:2, command line" in lines


def test_what_is_shown_is_a_configuration_again(shown, tmp_path):
    text = shown("config show --tun-name tun9 --max-age 2d")
    again = tmp_path / "again/kttun/config.toml"
    again.parent.mkdir(parents=True)
    again.write_text(text)
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "again")}
    options = parse(["config", "show"], read=lambda keys: read_settings(keys, environ, None))
    first = parse(["config", "show", "--tun-name", "tun9", "--max-age", "2d"])
    assert (options.tun_name, options.max_age) == (first.tun_name, first.max_age)
    assert options.dns == "off"
    assert tomllib.loads(text)["exclude"] == ["10.1.0.0/16", "10.2.0.0/16"]


def test_scripts_get_the_same_as_json(shown, tmp_path):
    told = json.loads(shown("config show --json --carrier spdy"))
    values = told["values"]
    assert told["schema"] == 1
    assert values["carrier"] == {"value": "spdy", "origins": [{"source": "command line"}]}
    assert values["dns"] == {"value": "off", "origins": [{"source": "environment", "variable": "KTTUN_DNS"}]}
    user = str(tmp_path / "home/.config/kttun/config.toml")
    assert values["linger"] == {"value": 90.0, "origins": [{"source": "user file", "file": user, "line": 2}]}
    assert values["context"]["value"] is None


def test_the_files_are_named_light_to_heavy(shown, tmp_path):
    user, project = tmp_path / "home/.config/kttun/config.toml", tmp_path / "work/.kttun.toml"
    assert shown("config path") == f"{user}  # user file\n{project}  # project file\n"
    user.unlink()
    assert shown("config path").startswith(f"{user}  # user file, does not exist\n")
    assert json.loads(shown("config path --json"))["files"][0] == {
        "source": "user file",
        "file": str(user),
        "exists": False,
    }


def test_broken_files_are_named_all_the_same(shown, tmp_path):
    (tmp_path / "work/.kttun.toml").write_text("nonsense")
    assert ".kttun.toml  # project file" in shown("config path")


def test_behind_sudo_it_sends_people_to_the_right_place(shown, monkeypatch):
    monkeypatch.setattr(config.os, "geteuid", lambda: 0)
    monkeypatch.setitem(config.os.environ, "SUDO_UID", "1000")
    with pytest.raises(UsageError, match="behind sudo"):
        shown("config show")
