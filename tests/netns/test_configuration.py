"""Behind sudo the worker, which is the user, reads the configuration; root never does."""

import os
import pwd
import subprocess

import pytest

NOBODY = 65534


@pytest.fixture
def up(python):
    """A function that runs `kttun up` as sudo would for nobody, in a folder with that project file."""
    environ = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY), "SUDO_USER": pwd.getpwuid(NOBODY).pw_name}

    def run(text, mode=0o644, owner=NOBODY, **more):
        folder = python.programs.parents[1] / "project"
        folder.mkdir(exist_ok=True)
        file = folder / ".kttun.toml"
        file.write_text(text)
        file.chmod(mode)
        os.chown(file, owner, owner)
        return subprocess.run(
            [python.interpreter, "-P", "-m", "kttun", "up", "shop", "--dry-run"],
            env={"PATH": os.environ["PATH"], **python.environment, **environ, **more},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_a_mistake_is_told_once_by_the_worker(up):
    done = up("imgae = 1")
    assert done.returncode == 2
    assert done.stderr.count("unknown key imgae\nhint: did you mean image?\n") == 1


def test_what_only_root_may_read_is_not_read(up):
    done = up("linger = 5", mode=0o600, owner=0)
    assert done.returncode == 1
    assert ".kttun.toml cannot be read: Permission denied" in done.stderr


def test_what_another_user_wrote_is_refused(up):
    done = up("linger = 5", owner=1234)
    assert done.returncode == 2
    assert ".kttun.toml belongs to another user (uid 1234)" in done.stderr


def test_variables_given_to_sudo_reach_the_worker(up):
    done = up("", KTTUN_DNS="bind")
    assert done.returncode == 2
    assert done.stderr.startswith("kttun: KTTUN_DNS: 'bind' is none of ")
