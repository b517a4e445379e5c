"""Connections: which file, opened how, with which settings."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec

from perdure.backends.apart import BLOB_THRESHOLD
from perdure.errors import ConfigurationError, StoreUsageError

OLDEST_SQLITE = (3, 35, 0)  # RETURNING and upserts as the statements use them
_STATEMENTS = 512  # as many prepared ones are kept; the store has about 100, a dozen of them in up to 20 sizes


class SqliteOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a SQLite store behaves."""

    synchronous: Literal["full", "normal"] = "full"
    """`full`: acknowledged work survives a loss of power. `normal`: the last of it may be lost then, by that alone."""
    lock_timeout_seconds: float = 10.0
    """How long a write waits for another program's lock before it fails with StoreUnavailable."""
    blob_threshold: int = BLOB_THRESHOLD
    """Payloads of more bytes are kept apart, in blobs. Processes on one store may have different ones."""
    migrate: bool = True
    """Whether to bring an older schema up to date; if not, one is refused."""


class Place(msgspec.Struct, frozen=True):
    """Where a store lies. `path` is None in memory; `name` is for messages."""

    path: Path | None
    name: str

    @property
    def url(self) -> str:
        return "sqlite:///:memory:" if self.path is None else f"sqlite:///{quote(str(self.path))}"

    def beside(self, suffix: str) -> Path:
        """A file of ours beside the database."""
        assert self.path is not None
        return self.path.with_name(self.path.name + suffix)


def place_of(path: str) -> Place:
    """The place of a path, or of `:memory:`. Two paths that lead to one file are one place."""
    if path == ":memory:":
        return Place(None, "the SQLite database in memory")
    if not path:
        raise ConfigurationError(
            "sqlite:/// needs a path: sqlite:///orders.db, sqlite:////var/lib/orders.db or sqlite:///:memory:"
        )
    real = Path(path).expanduser().resolve()
    return Place(real, str(real))


def open_writer(place: Place, options: SqliteOptions) -> sqlite3.Connection:
    """The connection that writes, for one thread. Raises sqlite3.Error, StoreError."""
    _check_library()
    target = ":memory:" if place.path is None else str(place.path)
    # timeout=0: SQLite's own waiting starves those that come late; the writer waits by itself.
    connection = sqlite3.connect(
        target, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS
    )
    try:
        if place.path is not None:
            _set_journal(connection, place, options)
        connection.execute("pragma cache_size = -32000")
        connection.execute("pragma temp_store = memory")
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(place: Place) -> sqlite3.Connection:
    """A connection that can't write. Raises sqlite3.Error."""
    assert place.path is not None
    uri = f"{place.path.as_uri()}?mode=ro"
    connection = sqlite3.connect(
        uri, uri=True, timeout=5, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS
    )
    connection.execute("pragma query_only = 1")
    return connection


def _set_journal(connection: sqlite3.Connection, place: Place, options: SqliteOptions) -> None:
    (mode,) = connection.execute("pragma journal_mode = wal").fetchone()
    if mode != "wal":
        raise StoreUsageError(
            f"{place.name} can't be put into WAL mode (it stays in {mode!r}): perdure needs it for readers and writers "
            f"side by side. It isn't possible on most network file systems: use a local disk."
        )
    connection.execute(f"pragma synchronous = {options.synchronous}")
    connection.execute("pragma wal_autocheckpoint = 0")  # wal.py does it, under the lock


def _check_library() -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise ConfigurationError(
            f"This Python has SQLite {sqlite3.sqlite_version}; perdure needs 3.35 or newer: use another build of Python."
        )
