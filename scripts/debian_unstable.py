"""Unpack packages of Debian unstable into a private folder, beside the system and without touching it.

The address of the archive comes from the machine's own apt sources; apt's lists, cache and status live in the folder. What is
unpacked brings its own libc, so a program is either started by the folder's own dynamic loader (`run`) or has that loader
written into it (`make_runnable`). Standard library only: this runs before anything is installed.

    python3 scripts/debian_unstable.py FOLDER PACKAGE...
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SOURCES = Path("/etc/apt/sources.list.d")
ONE_LINE_SOURCES = Path("/etc/apt/sources.list")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Unavailable(Exception):
    """The packages can't be had on this machine; the message says why."""


def unpack(folder: Path, packages: list[str]) -> Path:
    """Fetch `packages` with all they depend on, unpack them into `folder`/root and return that path."""
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is not on this machine (Debian and its relatives only)")
    apt = _apt(folder.resolve(), archive_entry())
    _call([*apt, "update"])
    _call([*apt, "install", "--yes", "--download-only", "--no-install-recommends", *packages])
    root = folder.resolve() / "root"
    root.mkdir(exist_ok=True)
    for archive in sorted((folder / "cache" / "archives").glob("*.deb")):
        _call(["dpkg", "-x", str(archive), str(root)])
    shutil.rmtree(folder / "cache")
    shutil.rmtree(folder / "lists")
    return root


def archive_entry() -> str:
    """The first Debian archive among the machine's own sources, as a deb822 entry for unstable."""
    for uri, suites in _entries():
        if uri.rstrip("/").endswith("/debian") and not any("security" in suite for suite in suites):
            signed_by = f"Signed-By: {KEYRING}\n" if KEYRING.exists() else ""
            return f"Types: deb\nURIs: {uri}\nSuites: sid\nComponents: main\n{signed_by}"
    raise Unavailable("no Debian archive among this machine's apt sources")


def loader(root: Path) -> Path:
    """The dynamic loader that was unpacked into `root`."""
    for pattern in ("usr/lib64/ld-linux*.so.*", "usr/lib/ld-linux*.so.*"):
        for found in sorted(root.glob(pattern)):
            return found
    raise Unavailable(f"no dynamic loader in {root}")


def libraries(root: Path) -> Path:
    """The folder of `root` with the shared libraries."""
    for found in sorted(root.glob("usr/lib/*-linux-gnu*/libc.so.6")):
        return found.parent
    raise Unavailable(f"no C library in {root}")


def run(root: Path, program: str, *arguments: str) -> None:
    """Run a program out of `root` with root's own loader and libraries."""
    _call([str(loader(root)), "--library-path", str(libraries(root)), str(root / program), *arguments])


def make_runnable(root: Path, program: str) -> None:
    """Write root's loader and libraries into a program, which can then be called by its path. Needs patchelf in `root`."""
    # Two calls in this order: patchelf 0.18 lays segments over each other when it does both at once, or the loader first.
    run(root, "usr/bin/patchelf", "--force-rpath", "--set-rpath", str(libraries(root)), str(root / program))
    run(root, "usr/bin/patchelf", "--set-interpreter", str(loader(root)), str(root / program))


def _apt(folder: Path, entry: str) -> list[str]:
    (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "status").write_text("")
    (folder / "unstable.sources").write_text(entry)
    options = {
        "Dir::Etc::sourcelist": folder / "unstable.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
        "APT::Keep-Downloaded-Packages": "true",
        "Debug::NoLocking": "true",
    }
    return ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]


def _entries() -> list[tuple[str, list[str]]]:
    """(uri, suites) of every enabled source, deb822 files first, then the one-line form."""
    found: list[tuple[str, list[str]]] = []
    for path in sorted(SOURCES.glob("*.sources")):
        for paragraph in path.read_text().split("\n\n"):
            fields = dict(_field(line) for line in paragraph.splitlines() if ":" in line and not line.startswith("#"))
            if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes") != "no":
                found += [(uri, fields.get("suites", "").split()) for uri in fields.get("uris", "").split()]
    for path in (ONE_LINE_SOURCES, *sorted(SOURCES.glob("*.list"))):
        for line in path.read_text().splitlines() if path.exists() else []:
            words = [word for word in line.split("#")[0].split() if not word.startswith("[") and not word.endswith("]")]
            if len(words) > 2 and words[0] == "deb":
                found.append((words[1], [words[2]]))
    return found


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"{Path(command[0]).name} failed: {said[-1] if said else done.returncode}")


if __name__ == "__main__":
    try:
        print(unpack(Path(sys.argv[1]), sys.argv[2:]))
    except Unavailable as reason:
        sys.exit(f"not available: {reason}")
