"""`SqliteBackend`: a SQLite file, or a database in memory, opened on one event loop."""

from __future__ import annotations

from typing import TypeVar

from perdure.backends.handle import RowBackend
from perdure.backends.protocol import Housekeeping, WorkerStart
from perdure.backends.rules import lives
from perdure.backends.sqlite.connection import Place, SqliteOptions, place_of
from perdure.backends.sqlite.hub import Hub, hub_key, join_hub
from perdure.backends.sqlite.joining import SqliteJoined, check_outside
from perdure.backends.sqlite.presence import drop, this_machine
from perdure.backends.unit.unit import Unit
from perdure.clock import Clock, SystemClock

T = TypeVar("T")


class SqliteBackend(RowBackend[Hub]):
    """A store in a file. All handles of a process on one file, on whichever event loops, share one writing connection.

    A store in memory (`:memory:`) lasts until the last of a handle and its twins is closed.
    """

    def __init__(self, path: str, options: SqliteOptions | None = None, *, clock: Clock | None = None) -> None:
        self._place: Place = place_of(path)
        self._options = options or SqliteOptions()
        self._clock = clock or SystemClock()
        self._key = hub_key(self._place)

    @property
    def url(self) -> str:
        return self._place.url

    def _join_hub(self) -> Hub:
        return join_hub(self._key, self._place, self._options, self._clock)

    def twin(self) -> SqliteBackend:
        twin = SqliteBackend.__new__(SqliteBackend)
        twin._place, twin._options, twin._clock, twin._key = self._place, self._options, self._clock, self._key
        twin._hub = twin._desk = None
        return twin

    async def start_worker(self, start: WorkerStart) -> int:
        presence = self._opened.presence
        name, lock = presence.begin()
        try:
            key = await self._write(lambda unit: lives.start_worker(unit, start, this_machine(), name))
        except BaseException:
            if lock is not None:
                drop(lock)
            raise
        presence.hold(key, lock)
        self._at_desk.expect(key, start)
        await self.housekeep()
        return key

    async def stop_worker(self, worker_key: int) -> None:
        await super().stop_worker(worker_key)
        self._opened.presence.end(worker_key)

    async def housekeep(self) -> Housekeeping:
        lost_workers = self._opened.presence.lost_workers

        def housekeep(unit: Unit) -> Housekeeping:
            return lives.housekeep(unit, lost_workers(unit))

        return await self._write(housekeep)

    def join(self, connection: object) -> SqliteJoined:
        """What writes through this connection of the user's, in its open transaction. Raises StoreUsageError."""
        return SqliteJoined(connection, self._place, self._clock, self._options.blob_threshold)

    def check_outside(self) -> None:
        check_outside(self._place)
