"""How the sources weigh: single values are replaced, lists add up."""

from ipaddress import ip_network

from kttun.settings.origin import Source
from kttun.settings.settings import locate, read_settings


def test_the_heavier_source_replaces_a_value_and_adds_to_a_list(write, keys, tmp_path):
    user = write("config/kttun/config.toml", 'dns = "off"\nlinger = 5\nexclude = "10.1.0.0/16"\ncontext = "mine"')
    project = write("work/.kttun.toml", 'linger = 6\nexclude = "10.2.0.0/16"\nnamespace = "shop"')
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "KTTUN_EXCLUDE": "10.3.0.0/16", "KTTUN_CONTEXT": "theirs"}
    settings = read_settings(keys, environ, tmp_path / "work")
    assert settings.values == {
        "dns": "off",
        "linger": 6.0,
        "exclude": [ip_network(f"10.{n}.0.0/16") for n in (1, 2, 3)],
        "context": "theirs",
        "namespace": "shop",
    }
    assert [str(origin) for origin in settings.origins["exclude"]] == [f"{user}:3", f"{project}:2", "KTTUN_EXCLUDE"]
    assert [str(origin) for origin in settings.origins["linger"]] == [f"{project}:1"]


def test_without_a_folder_there_is_no_project(write, keys, tmp_path):
    write("config/kttun/config.toml", "linger = 5")
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert read_settings(keys, environ, None).values == {"linger": 5.0}
    assert locate(environ, None) == ((Source.USER, tmp_path / "config/kttun/config.toml"),)


def test_the_project_file_is_located_when_there_is_one(write, tmp_path):
    project = write("work/.kttun.toml", "")
    assert locate({"HOME": "/h"}, tmp_path / "work")[1:] == ((Source.PROJECT, project),)
