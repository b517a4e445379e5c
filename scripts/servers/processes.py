"""Start, watch and end the processes of servers: each in a session of its own, known by a file with its pid.

Nobody's children: whoever started a server may end before it, and somebody else may stop it. A process is told from a later one
with the same number by the time when it began. Needs Linux (/proc).
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.debian_unstable import Unavailable

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Node:
    """One process of a server: a cluster has several."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def pid(self) -> int | None:
        """The process that was started last, if it is still there."""
        try:
            number, began = (self.folder / "pid").read_text().split()
        except FileNotFoundError:
            return None
        return int(number) if _began(int(number)) == began else None


def spawn(node: Node, command: Sequence[str]) -> None:
    command = [*_unprivileged(), *command]
    with node.log.open("ab") as log:
        # posix_spawn and no Popen: this object would have to outlive the server, or warn.
        pid = os.posix_spawnp(
            command[0],
            command,
            os.environ,
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
            ],
        )
    (node.folder / "pid").write_text(f"{pid} {_began(pid)}")


def call(command: Sequence[str], stdin: str = "") -> None:
    """Run a program to its end, as the user that the servers run as."""
    done = subprocess.run(
        [*_unprivileged(), *command], input=stdin, capture_output=True, text=True, cwd="/", check=False
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"{Path(command[0]).name} failed: {said[-1] if said else done.returncode}")


def make_folder(path: Path) -> None:
    """A folder that belongs to the user that the servers run as."""
    path.mkdir(parents=True)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def wait_until_ready(node: Node, is_ready: Callable[[Node], bool]) -> None:
    for _ in _moments():
        if node.pid is None:
            raise Unavailable(f"it ended again at once: {_last_words(node)}")
        if is_ready(node):
            return
    raise Unavailable(f"it did not answer within {PATIENCE_SECONDS} s: {_last_words(node)}")


def end(nodes: Sequence[Node], how: signal.Signals) -> None:
    """Send the signal to all and return when they and their children are gone; what takes too long is killed."""
    pids = [pid for node in nodes if (pid := node.pid)]
    families = pids + [child for pid in pids for child in _children(pid)]
    # A kill is meant for the whole server; PostgreSQL's children would live on for a while.
    for pid in families if how is signal.SIGKILL else pids:
        _signal(pid, how)
    began = {pid: _began(pid) for pid in families}
    for _ in _moments():
        if all(_began(pid) is None or _began(pid) != began[pid] for pid in families):
            return
    if how is not signal.SIGKILL:
        end(nodes, signal.SIGKILL)


def _unprivileged() -> list[str]:
    """What makes root's command run as nobody: PostgreSQL refuses root, and the others have no need of it."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--"]


def _moments() -> Iterator[None]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        yield
        time.sleep(0.02)


def _began(pid: int) -> str | None:
    """When the process began, in the kernel's own count; None if it has ended."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # our own child isn't gone before it is asked for
    fields = _fields(pid)
    return None if fields is None or fields[0] in "ZX" else fields[19]


def _children(pid: int) -> list[int]:
    everybody = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return [each for each in everybody if (fields := _fields(each)) and fields[1] == str(pid)]


def _fields(pid: int) -> list[str] | None:
    """What the kernel says of a process behind its name: state, parent, … (proc(5), stat, from the third on)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _signal(pid: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, how)


def _last_words(node: Node) -> str:
    lines = node.log.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1] if lines else 'it said nothing'} ({node.log})"
