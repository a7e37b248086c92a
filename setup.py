"""What pyproject.toml cannot say: the wheel carries a manual page and completions, written from the parser itself.

Made at build time, so there is no copy in the repository that could differ from the options.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
SHARE = HERE / "build" / "share"
MANUAL = "man/man1/kttun.1"
COMPLETIONS = {
    "bash": "bash-completion/completions/kttun",
    "zsh": "zsh/site-functions/_kttun",
    "fish": "fish/vendor_completions.d/kttun.fish",
}
"""Where each shell looks, under share/: bash-completion's README, zsh's FPATH on Debian, fish's complete(1)."""


class BuildWithShare(build_py):
    """Also writes what goes under share/."""

    def run(self) -> None:
        """Build as always, then write the files."""
        super().run()
        sys.path.insert(0, str(HERE))  # a build front end does not run us from here
        from argcomplete.shell_integration import shellcode  # noqa: PLC0415 - only there while a wheel is built

        _write(MANUAL, _manual())
        for shell, name in COMPLETIONS.items():
            _write(name, shellcode(["kttun"], shell=shell).strip() + "\n")


def _write(name: str, text: str) -> None:
    path = SHARE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _manual() -> str:
    from build_manpages.manpage import Manpage  # noqa: PLC0415

    from kttun import __version__  # noqa: PLC0415
    from kttun.arguments import config_keys, make_parser  # noqa: PLC0415
    from kttun.settings.files import PROJECT_NAME  # noqa: PLC0415

    parser = make_parser()
    about, parser.description = parser.description.rstrip("."), _ABOUT
    exits, parser.epilog = parser.epilog, None
    page = Manpage(parser, {"project_name": "kttun", "version": __version__, "manual_title": "User Commands"})
    page.description = about
    page.add_section("exit status", ">", exits.removeprefix("exit codes: ") + ".")
    variables = ", ".join(rf"\%{key.variable}" for key in config_keys())  # not to be hyphenated
    page.add_section("environment", ">", f"One variable for each key of the configuration: {variables}.")
    page.add_section("files", ">", _FILES.format(project=PROJECT_NAME.replace(".", r"\&.")))
    return str(page)


_ABOUT = """kttun opens a tunnel through the Kubernetes API server to a gateway pod in a namespace, and every program on
this machine reaches the pods and Services there by address and by name, until the session ends."""

_FILES = """.TP
~/.config/kttun/config.toml
your own configuration, under $XDG_CONFIG_HOME where that is set; its keys are the long options of up
.TP
{project}
configuration of a project, found from the working directory upwards; weighs more, but may hold fewer keys
.TP
/run/kttun
the control sockets of running sessions"""

setup(
    cmdclass={"build_py": BuildWithShare},
    # Relative on both sides, as setuptools asks; the files are there when they are installed.
    data_files=[(f"share/{Path(name).parent}", [f"build/share/{name}"]) for name in (MANUAL, *COMPLETIONS.values())],
)
