import os
import pwd

import pytest

from kttun.errors import EnvironmentFaultError
from kttun.host.invoker import find_invoker

NOBODY = pwd.getpwnam("nobody")
BY_SUDO = {"SUDO_UID": str(NOBODY.pw_uid), "SUDO_GID": str(NOBODY.pw_gid), "SUDO_USER": "nobody"}
ROOTS = {"HOME": "/root", "USER": "root", "LOGNAME": "root", "PATH": "/usr/sbin:/usr/bin", "TERM": "xterm"}


@pytest.fixture
def proc(tmp_path):
    """A /proc in small: our parent is sudo's monitor, whose parent is sudo."""

    def process(pid, comm, parent, environ=b""):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "comm").write_text(f"{comm}\n")
        (folder / "stat").write_text(f"{pid} (a ) odd) name) S {parent} 1 1")
        (folder / "environ").write_bytes(environ)

    process(os.getppid(), "python", 4242)
    process(4242, "sudo", 1, b"KUBECONFIG=/home/n/kube\0PATH=/home/n/bin:/usr/bin\0HOME=/odd\0broken\0=x\0")
    return tmp_path


def test_root_without_sudo_stays_root():
    invoker = find_invoker({"HOME": "/root"})
    assert invoker.is_root
    assert invoker.environment == {"HOME": "/root"}
    assert find_invoker({"SUDO_UID": "0", "SUDO_GID": "0"}).is_root


def test_the_user_behind_sudo_is_found_with_groups_and_home(tmp_path):
    invoker = find_invoker(BY_SUDO | ROOTS, tmp_path)
    assert (invoker.uid, invoker.gid, invoker.is_root) == (NOBODY.pw_uid, NOBODY.pw_gid, False)
    assert NOBODY.pw_gid in invoker.groups
    assert invoker.environment == {
        "HOME": NOBODY.pw_dir,
        "USER": "nobody",
        "LOGNAME": "nobody",
        "PATH": "/usr/sbin:/usr/bin",
    }


def test_the_users_own_environment_comes_back(proc):
    environment = find_invoker(BY_SUDO | ROOTS, proc).environment
    assert environment["KUBECONFIG"] == "/home/n/kube"
    assert environment["PATH"] == "/home/n/bin:/usr/bin"
    assert environment["HOME"] == NOBODY.pw_dir
    assert "broken" not in environment
    assert "" not in environment


def test_what_was_named_to_sudo_weighs_more(proc):
    environment = find_invoker(BY_SUDO | ROOTS | {"KUBECONFIG": "/other"}, proc).environment
    assert environment["KUBECONFIG"] == "/other"


def test_without_sudo_among_the_parents_nothing_is_taken_from_them(proc):
    (proc / "4242" / "comm").write_text("evil\n")
    assert "KUBECONFIG" not in find_invoker(BY_SUDO | ROOTS, proc).environment


def test_a_user_whom_no_directory_knows_keeps_the_name_of_sudo(tmp_path):
    environ = {"SUDO_UID": "3999999", "SUDO_GID": "3999998", "SUDO_USER": "far"}
    invoker = find_invoker(environ, tmp_path)
    assert (invoker.uid, invoker.environment["USER"]) == (3_999_999, "far")
    assert 3_999_998 in invoker.groups
    assert "HOME" not in invoker.environment


@pytest.mark.parametrize("environ", [{"SUDO_UID": "x"}, {"SUDO_UID": "1", "SUDO_GID": ""}])
def test_nonsense_from_sudo_is_refused(environ):
    with pytest.raises(EnvironmentFaultError, match="SUDO_UID"):
        find_invoker(environ)
