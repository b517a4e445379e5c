"""Find the programs of servers, and install them out of Debian's packages without a system service being started."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts.debian_unstable import Unavailable

PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
POLICY = Path("/usr/sbin/policy-rc.d")  # Debian's packages ask it whether they may start their services

# One at a time, also of what is unpacked elsewhere: in containers an `apt-get update` removes the packages that another one fetched.
installing = threading.Lock()


def find(program: str) -> Path:
    found = shutil.which(program, path=PLACES)
    if found is None:
        raise Unavailable(f"{program} is not on this machine")
    return Path(found)


def find_newest(pattern: str) -> Path:
    """The program with the highest version number among those whose path fits: /usr/lib/postgresql/*/bin/postgres."""
    found = Path("/").glob(pattern.lstrip("/"))
    place = pattern.split("/").index("*")
    numbered = [path for path in found if path.parts[place].isdigit()]
    return max(numbered, key=lambda path: int(path.parts[place]), default=None) or find(pattern.rpartition("/")[2])


def install(packages: Sequence[str]) -> None:
    with installing, _no_services():
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *packages)


def _apt(*arguments: str) -> None:
    if shutil.which("apt-get") is None:
        raise Unavailable("there is no apt-get to install it (Debian and its relatives only)")
    command = [*_as_root(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-oDPkg::Lock::Timeout=300"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"apt-get {arguments[0]} failed: {said[-1] if said else done.returncode}")


@contextmanager
def _no_services() -> Iterator[None]:
    """Forbid packages to start services while they are installed; a machine with a policy of its own keeps it."""
    if POLICY.exists():
        yield
        return
    forbid = ["sh", "-c", f"printf '#!/bin/sh\\nexit 101\\n' > {POLICY} && chmod 755 {POLICY}"]
    subprocess.run([*_as_root(), *forbid], check=True)
    try:
        yield
    finally:
        subprocess.run([*_as_root(), "rm", "-f", str(POLICY)], check=True)


def _as_root() -> list[str]:
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ["sudo", "-n"]
    raise Unavailable("installing it needs root or a sudo without password")
