"""Whose turn it is to write, among processes.

- An OS lock on a file beside the database is held around commits, checkpoints of the log and closing, by every perdure
  process. The kernel grants it in order of arrival; SQLite's busy handler starves those who come late.
- SQLite's own write lock is then only ever taken by strangers; it is tried again every millisecond or so.
- If the OS lock can't be had for too long (its holder is stopped), `give_up` takes the jobs that wait for it away, from
  another thread, and they are known not to have been written.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from perdure.backends.group_commit import Job
from perdure.backends.sqlite import faults
from perdure.backends.sqlite.connection import Place
from perdure.backends.sqlite.oslock import FileLock
from perdure.errors import StoreUnavailable

T = TypeVar("T")

_RETRY_SECONDS = 0.001
_dice = random.Random()


class Turn:
    """One process's place in the queue for one file. A store in memory always has its turn."""

    def __init__(self, place: Place, timeout_seconds: float) -> None:
        self._place = place
        self._timeout = timeout_seconds
        self._lock: FileLock | None = None
        self._guard = threading.Lock()
        self._waiting: list[Job] = []
        self._waiting_since: float | None = None

    def open(self) -> None:
        """Raises StoreUnavailable if the directory isn't there."""
        if self._place.path is None:
            return
        try:
            self._lock = FileLock(self._place.beside("-lock"))
        except FileNotFoundError as problem:
            raise StoreUnavailable(
                f"{self._place.name} can't be opened: there is no directory {self._place.path.parent}. Make it first.",
                is_unwritten=True,
            ) from problem
        except OSError:
            return  # it can't be written here at all: SQLite will tell, in words that are translated

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def wait_with(self, batch: list[Job]) -> list[Job]:
        """Take the turn; gives those of the batch that haven't been given up meanwhile."""
        if self._lock is None or self._lock.try_acquire():
            return batch
        with self._guard:
            self._waiting, self._waiting_since = batch, time.monotonic()
        self._lock.acquire()
        with self._guard:
            left, self._waiting, self._waiting_since = self._waiting, [], None
        return left

    def give_up(self) -> list[Job] | None:
        """From another thread: if this has waited for too long, the jobs that will not be carried out; else None."""
        with self._guard:
            if self._waiting_since is None or time.monotonic() - self._waiting_since < self._timeout:
                return None
            jobs, self._waiting = self._waiting, []
            return jobs

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> None:
        """Take the turn where there is no job to give up: on opening. Raises StoreUnavailable."""
        lock = self._lock
        if lock is not None:
            self._until(lock.try_acquire)

    def __exit__(self, *_: object) -> None:
        self.release()

    def patiently(self, action: Callable[[], T]) -> T:
        """Try until no stranger has the database locked. Fair: the pauses are short and uneven."""
        result: list[T] = []

        def try_once() -> bool:
            try:
                result.append(action())
            except sqlite3.OperationalError as problem:
                if faults.is_locked(problem):
                    return False
                raise
            return True

        self._until(try_once)
        return result[0]

    def _until(self, succeeds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._timeout
        while not succeeds():
            if time.monotonic() > deadline:
                raise faults.locked(self._place.name, self._timeout)
            time.sleep(_RETRY_SECONDS * _dice.uniform(0.5, 1.5))
