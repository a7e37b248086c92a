"""The wheel that users install, built without a network and run from an environment that has nothing else of us."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kttun import __version__

ROOT = Path(__file__).parents[1]
SOURCES = ("kttun", "pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build from a copy, so that nothing is left in the project's folder and nothing old is taken from there."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("out")
    for name in SOURCES:
        subprocess.run(["cp", "-r", ROOT / name, source], check=True)
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", out, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [made] = out.iterdir()
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Give the folder of an environment with the wheel; its dependencies are those of this environment, by a path."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "--python", place / "bin/python", "install", *options, wheel]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [packages] = place.glob("lib/python*/site-packages")
    [ours] = [path for path in sys.path if path.endswith("site-packages")]
    # The editable installation of this environment is a .pth file, which a line in another .pth file does not run.
    (packages / "dependencies.pth").write_text(ours + "\n")
    return place


def names(wheel):
    return zipfile.ZipFile(wheel).namelist()


def run(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd="/", timeout=60, **options)


def test_its_name_carries_the_version(wheel):
    assert wheel.name == f"kttun-{__version__}-py3-none-any.whl"


def test_it_holds_the_package_and_nothing_of_tests_or_scripts(wheel):
    tops = {name.split("/")[0] for name in names(wheel)}
    assert tops == {"kttun", f"kttun-{__version__}.dist-info", f"kttun-{__version__}.data"}
    sources = {str(path.relative_to(ROOT)) for path in ROOT.glob("kttun/**/*.py")}
    assert {name for name in names(wheel) if name.endswith(".py")} == sources
    assert "kttun/py.typed" in names(wheel)


def test_all_of_share_lies_where_systems_look(installed):
    found = {str(path.relative_to(installed / "share")) for path in installed.glob("share/**/*") if path.is_file()}
    assert found == {
        "man/man1/kttun.1",
        "bash-completion/completions/kttun",
        "zsh/site-functions/_kttun",
        "fish/vendor_completions.d/kttun.fish",
    }


def test_the_manual_knows_every_command_option_and_key(installed):
    text = (installed / "share/man/man1/kttun.1").read_text().replace("\\-", "-")
    for word in ("up", "down", "config", "--exclude", "--max-age", "KTTUN_POD_CIDR", ".kttun.toml", "config.toml"):
        assert word in text.replace(r"\&", "")
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "FILES"):
        assert f".SH {heading}\n" in text
    assert "kttun - The network of a Kubernetes namespace on your own machine\n" in text


@pytest.mark.parametrize("command", [["bin/kttun"], ["bin/python", "-m", "kttun"], ["bin/kubectl-tun"]])
def test_each_way_to_call_it_is_this_version(installed, command):
    program, *words = command
    assert run(installed / program, *words, "--version").stdout == f"kttun {__version__}\n"


def test_it_is_the_wheel_that_runs(installed):
    [packages] = installed.glob("lib/python*/site-packages")
    done = run(installed / "bin/python", "-c", "import kttun; print(kttun.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(packages)


def test_as_a_plugin_it_speaks_of_kubectl(installed):
    done = run(installed / "bin/kubectl-tun", "up", "--help")
    assert done.stdout.startswith("usage: kubectl tun up [NS] [options] [-- CMD...]\n")


def test_what_it_needs_is_what_it_says(wheel):
    with zipfile.ZipFile(wheel) as content:
        metadata = content.read(f"kttun-{__version__}.dist-info/METADATA").decode()
    assert "Requires-Dist: argcomplete" in metadata
    assert "pytest" not in metadata


def test_completions_are_those_that_the_command_prints(installed):
    for shell, name in (
        ("bash", "bash-completion/completions/kttun"),
        ("fish", "fish/vendor_completions.d/kttun.fish"),
    ):
        done = run(installed / "bin/kttun", "completion", shell)
        assert done.stdout == (installed / "share" / name).read_text()
