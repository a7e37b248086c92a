"""Runs a command on the laptop: enter.py RUN_DIRECTORY [--as CLUSTER_USER] [--user UNIX_USER] -- COMMAND...

The command has this process's terminal, files and exit code, and gets the signals that this process is sent. If this
process is killed, so is the command.
"""

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

NAMESPACES = 0x00020000 | 0x04000000 | 0x20000000 | 0x40000000  # mount, UTS, PID, network
PR_SET_PDEATHSIG = 1
FROM_A_PROCESS = 0  # si_code at most this: sent by kill(2); above: by the terminal, which the command hears itself
FORWARDED = {
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGWINCH, signal.SIGALRM,
}  # fmt: skip
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OWN_VARIABLES = ("HOME", "USER", "LOGNAME", "SHELL", "PATH", "MAIL", "KUBECONFIG", "TMPDIR")

libc = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Join the laptop, become the user, run the command."""
    options = parse(sys.argv[1:])
    kubeconfig = Path(options.run, "users", options.cluster_user)
    try:
        laptop = os.pidfd_open(int(Path(options.run, "pid/laptop").read_text()))
    except (OSError, ValueError):
        sys.exit("cluster: the laptop is down\nhint: scripts/cluster up")
    if not kubeconfig.exists():
        sys.exit(f"cluster: no cluster user {options.cluster_user}\nhint: scripts/cluster user NAME NAMESPACE")
    credentials = kubeconfig.read_text()
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | {signal.SIGCHLD})
    join(laptop)
    child = os.fork()
    if child == 0:
        run(options, credentials)
    sys.exit(watch(child))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; who one is in the cluster decides who one is on the machine."""
    parser = argparse.ArgumentParser(prog="scripts/cluster laptop")
    parser.add_argument("run", help=argparse.SUPPRESS)
    parser.add_argument("--as", dest="cluster_user", default="admin", metavar="CLUSTER_USER")
    parser.add_argument("--user", metavar="UNIX_USER")
    border = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:border])
    options.command = arguments[border + 1 :]  # untouched: it may hold a -- of its own
    if not options.command:
        parser.error("no command follows --")
    options.user = options.user or ("root" if options.cluster_user == "admin" else "dev")
    return options


def join(laptop: int) -> None:
    """Enter the namespaces; that of the processes holds for children only."""
    directory = Path.cwd()
    if libc.setns(laptop, NAMESPACES):
        sys.exit(f"cluster: cannot enter the laptop: {os.strerror(ctypes.get_errno())}")
    try:
        os.chdir(directory)
    except OSError:
        os.chdir("/")


def run(options: argparse.Namespace, credentials: str) -> NoReturn:
    """Become the user and then the command."""
    name, home, uid, gid = account(options.user)
    os.initgroups(name, gid)
    os.setgid(gid)
    os.setuid(uid)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    environment = {key: value for key, value in os.environ.items() if belongs_to_the_caller(key)}
    environment |= {"HOME": home, "USER": name, "LOGNAME": name, "SHELL": "/bin/bash", "PATH": SEARCH_PATH}
    environment["KUBECONFIG"] = store(credentials, Path(home, ".kube"), "config" if uid else options.cluster_user)
    if Path("/run/user", str(uid)).is_dir():
        environment["XDG_RUNTIME_DIR"] = f"/run/user/{uid}"
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    try:
        os.execvpe(options.command[0], options.command, environment)
    except OSError as error:
        print(f"cluster: {options.command[0]}: {error.strerror}", file=sys.stderr)
        os._exit(127)


def account(name: str) -> tuple[str, str, int, int]:
    """Look a user up in the laptop's own list; pwd would ask the machine's name services."""
    for line in Path("/etc/passwd").read_text().splitlines():
        user, _, uid, gid, _, home, *_ = line.split(":")
        if user == name:
            return user, home, int(uid), int(gid)
    sys.exit(f"cluster: no user {name} on the laptop")


def belongs_to_the_caller(variable: str) -> bool:
    """Tell whether a variable may cross: what describes the caller's own session does not."""
    return variable not in OWN_VARIABLES and not variable.startswith(("SUDO_", "XDG_"))


def store(credentials: str, directory: Path, name: str) -> str:
    """Write the kubeconfig where an ordinary user's default one lies, since sudo removes KUBECONFIG.

    Root gets no default one: what dev starts by sudo must not come by the administrator's credentials.
    """
    directory.mkdir(exist_ok=True)
    new = directory / f"{name}.{os.getpid()}"
    new.touch(mode=0o600)
    new.write_text(credentials)
    return str(new.replace(directory / name))


def watch(child: int) -> int:
    """Pass signals on until the command ends; return its exit code as a shell would put it."""
    while True:
        received = signal.sigwaitinfo(FORWARDED | {signal.SIGCHLD})
        if received.si_signo == signal.SIGCHLD:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        elif received.si_code <= FROM_A_PROCESS:
            os.kill(child, received.si_signo)


if __name__ == "__main__":
    main()
