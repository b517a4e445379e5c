"""SQLite's errors in perdure's words, each with what to do about it."""

from __future__ import annotations

import sqlite3

from perdure.backends.explaining import explained
from perdure.errors import (
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)

# Primary result codes; https://www.sqlite.org/rescode.html. Python has names for them only where its SQLite has.
ERROR, BUSY, LOCKED, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOTADB = 1, 5, 6, 8, 10, 11, 13, 14, 26

# These say something about the database, not about one job: trying the halves of the batch would fail as well.
_OF_THE_DATABASE = frozenset({BUSY, LOCKED, READONLY, IOERR, CORRUPT, CANTOPEN, NOTADB})


def primary_code(problem: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 if the error is Python's own."""
    return getattr(problem, "sqlite_errorcode", 0) & 0xFF


def is_locked(problem: BaseException) -> bool:
    """Somebody else has the write lock."""
    return isinstance(problem, sqlite3.Error) and primary_code(problem) in {BUSY, LOCKED}


def concerns_all(problem: BaseException) -> bool:
    """Whether no part of the batch can be written."""
    if isinstance(problem, StoreUnavailable):
        return True
    return isinstance(problem, sqlite3.Error) and primary_code(problem) in _OF_THE_DATABASE


def translated(problem: BaseException, place: str) -> BaseException:
    """The StoreError that says the same; what isn't SQLite's stays as it is."""
    return explained(problem, place, _translate)


def locked(place: str, seconds: float) -> StoreUnavailable:
    """Somebody kept the write lock for too long."""
    return StoreUnavailable(
        f"{place} has been locked by another program for {seconds:.0f} s (an open transaction in a database shell or in "
        f"an application, a stopped process); nothing was written. End that transaction, then repeat.",
        is_unwritten=True,
    )


def _translate(problem: BaseException, place: str) -> StoreError | None:
    if not isinstance(problem, sqlite3.Error):
        return None
    code = primary_code(problem)
    name = getattr(problem, "sqlite_errorname", type(problem).__name__)
    said = f"SQLite said: {problem} ({name})"
    if code in {BUSY, LOCKED}:
        return StoreUnavailable(
            f"{place} is locked by another program; nothing was written. Repeat. {said}", is_unwritten=True
        )
    if code == READONLY:
        return StoreReadOnly(
            f"{place} can't be written: make the file and its directory writable for this user (the journal files "
            f"-wal and -shm are made beside it), and the file system not read-only. {said}"
        )
    if code == FULL:
        return StoreFull(f"There is no space left for {place}; nothing was written. Make room, then repeat. {said}")
    if code == IOERR:
        return StoreUnavailable(
            f"The disk didn't do what was asked of it for {place}: look for a full disk or quota, a limit on the size "
            f"of files, or errors in the system log. Whether the write took place isn't known; repeat it. {said}"
        )
    if code in {CORRUPT, NOTADB}:
        return StoreCorrupt(
            f"{place} is no SQLite database or is damaged: look at `pragma integrity_check`, and restore a copy or "
            f"point the URL at another file. {said}"
        )
    if code == CANTOPEN:
        return StoreUnavailable(
            f"{place} can't be opened: its directory must exist, and this user be allowed to make files in it. {said}"
        )
    return StoreError(f"{place} refused a statement; nothing of it was written. {said}")
