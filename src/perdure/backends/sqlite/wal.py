"""When the write-ahead log goes back into the database file.

Our own commits do it, under the lock that commits take: SQLite up to 3.51.2 can corrupt a log while one connection
checkpoints and another one writes (sqlite.org/wal.html#walresetbug), and a checkpoint by whoever happens to cross a
limit stalls that commit. A full checkpoint lets the log be overwritten from its start, which is faster than growing it.

How many pages a commit added isn't told by SQLite; how many the log has is, at a checkpoint. So pages are estimated from
rows written, and the estimate is corrected each time.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

_log = logging.getLogger("perdure.store")

EVERY_PAGES = 4_000
"""16 MB with the usual pages."""

LARGEST_BYTES = 64 * 1024 * 1024


class Wal:
    """The log of one database, as seen by the one connection of this process that writes."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        every_pages: int = EVERY_PAGES,
        largest_bytes: int = LARGEST_BYTES,
    ) -> None:
        self._connection = connection
        self._path = path
        self._every = every_pages
        self._largest = largest_bytes
        self._rows = 0
        self._pages_per_row = 1.0
        self._logged = 0
        self._reported = False

    def committed(self, rows: int) -> bool:
        """So many rows were written. Whether a checkpoint is due."""
        self._rows += rows + 1
        return self._rows * self._pages_per_row >= self._every

    def checkpoint(self) -> None:
        """Bring back what no reader needs in the log; in the hands of whoever holds the lock."""
        busy, logged, moved = self._connection.execute("pragma wal_checkpoint(passive)").fetchone()
        if busy or logged < 0:
            return
        grown = logged - self._logged if logged > self._logged else logged
        self._pages_per_row = min(4.0, max(0.02, grown / self._rows)) if self._rows else self._pages_per_row
        self._rows = 0
        # After a full checkpoint the next commit begins the log anew.
        self._logged = 0 if moved == logged else logged
        if self._size() > self._largest:
            self._shrink()

    def _shrink(self) -> None:
        busy, logged, moved = self._connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        if not busy:
            self._logged, self._reported = 0, False
        elif not self._reported:
            self._reported = True
            _log.warning(
                "%s has grown to %d MB: %d of its %d pages can't go back into the database, because another program "
                "has kept a read transaction open since they were written. Close that one.",
                self._path,
                self._size() // 1_000_000,
                logged - moved,
                logged,
            )

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0
