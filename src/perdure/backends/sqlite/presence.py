"""Which workers of this machine are alive: each holds an OS lock, which the kernel takes back when its process ends.

So a program that was killed and started again goes on at once, without waiting for the lease of its former self. For
workers of other machines (and other containers) nothing is promised: their leases lapse.
"""

from __future__ import annotations

import logging
import os
import platform
from functools import cache
from pathlib import Path

from perdure.backends.sqlite.connection import Place
from perdure.backends.sqlite.oslock import FileLock
from perdure.backends.sqlite.tables import SqliteTables
from perdure.backends.unit.unit import Unit
from perdure.clock import random_id

_log = logging.getLogger("perdure.store")


@cache
def this_machine() -> str:
    """A name for where OS locks are seen: the host, until it boots again."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return f"{platform.node()} {boot}"


class Presence:
    """The locks of this process's workers beside one database."""

    def __init__(self, place: Place) -> None:
        self._directory = None if place.path is None else place.beside("-workers")
        self._held: dict[int, FileLock] = {}

    def begin(self) -> tuple[str, FileLock | None]:
        """A new lock and its name, before the worker's row can be seen; an empty name if locks aren't to be had."""
        if self._directory is None:
            return "", None
        name = random_id().hex()
        try:
            self._directory.mkdir(exist_ok=True)
            lock = FileLock(self._directory / name)
            lock.try_acquire()
        except OSError as problem:
            _log.warning(
                "no locks of workers in %s, so a dead one is noticed by its lease: %s", self._directory, problem
            )
            return "", None
        return name, lock

    def hold(self, worker_key: int, lock: FileLock | None) -> None:
        """The worker is there: keep its lock."""
        if lock is not None:
            self._held[worker_key] = lock

    def end(self, worker_key: int) -> None:
        """The worker has stopped, or is as good as dead."""
        lock = self._held.pop(worker_key, None)
        if lock is not None:
            drop(lock)

    def close(self) -> None:
        for worker_key in list(self._held):
            self.end(worker_key)

    def lost_workers(self, unit: Unit) -> list[int]:
        """Workers whose rows say that they live and whose locks are free."""
        if self._directory is None:
            return []
        tables = unit.tables
        assert isinstance(tables, SqliteTables)
        found = tables.locks_of_machine(this_machine())
        return [key for key, name in found if name and key not in self._held and _is_free(self._directory / name)]


def drop(lock: FileLock) -> None:
    """Give a lock back, with its file."""
    lock.close()
    lock.path.unlink(missing_ok=True)


def _is_free(path: Path) -> bool:
    if not path.exists():  # somebody tidied up: nothing is known, the lease will tell
        return False
    try:
        lock = FileLock(path)
    except OSError:
        return False
    try:
        if not lock.try_acquire():
            return False
        if os.name != "nt":  # on Windows an open file can't be removed
            path.unlink(missing_ok=True)
        return True
    finally:
        lock.close()
