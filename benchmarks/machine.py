"""What a figure depends on besides the code: the machine, this process, the settings of the store."""

from __future__ import annotations

import gc
import os
import platform
import re
import sqlite3
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.stores import is_in_memory
from perdure.backends.network.backend import NetworkBackend
from perdure.backends.protocol import Backend
from perdure.backends.sqlite import SqliteBackend
from perdure.backends.sqlite.tables import connection_of
from perdure.backends.unit.unit import Unit

_PRAGMAS = ("journal_mode", "synchronous", "page_size", "cache_size", "wal_autocheckpoint")
_SYNCHRONOUS = ("off", "normal", "full", "extra")


def machine() -> dict[str, Any]:
    """The facts that are the same for all runs."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        "perdure": version("perdure"),
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor()


def file_system(folder: Path) -> str:
    """The kind of file system that a folder is on; what a sync costs depends on it."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    above = {str(each) for each in (folder.resolve(), *folder.resolve().parents)}
    return max(((len(where), kind) for where, kind in mounts if where in above), default=(0, "unknown"))[1]


def sync_milliseconds(folder: Path, *, times: int = 15) -> float:
    """What one small write and its sync take on that disk now: the middle of some. No durable commit is faster."""
    taken = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def rss_megabytes(field: str = "VmRSS") -> float:
    """The memory of this process that is resident, or with VmHWM was so at most; nan where there is no /proc.

    VmHWM and not getrusage: that one's peak is handed down from the parent process.
    """
    if field == "VmRSS":
        gc.collect()
    try:
        found = re.search(rf"^{field}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return int(found[1]) / 1024 if found else float("nan")


def commits_of(backend: Backend) -> int | None:
    """How many transactions this process has committed, where the store tells."""
    return backend.commits if isinstance(backend, SqliteBackend | NetworkBackend) else None


async def store_settings(backend: Backend) -> dict[str, Any]:
    """The settings of an open store, as far as they are this process's own: of a server, `stores` asks."""
    if not isinstance(backend, SqliteBackend):
        return {"durability": "none: in memory"} if is_in_memory(backend.url) else {}
    found = await backend._write(_read_pragmas)  # synchronous is a setting of the connection that writes
    found["synchronous"] = _SYNCHRONOUS[found["synchronous"]]
    return found


def _read_pragmas(unit: Unit) -> dict[str, Any]:
    return {name: connection_of(unit).execute(f"pragma {name}").fetchone()[0] for name in _PRAGMAS}
