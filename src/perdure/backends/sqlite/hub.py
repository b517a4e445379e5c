"""What the handles on one SQLite file share within a process: besides the threads, the locks of workers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from perdure.backends import hub
from perdure.backends.looking import Looking
from perdure.backends.sqlite.connection import Place, SqliteOptions
from perdure.backends.sqlite.presence import Presence
from perdure.backends.sqlite.reader import Reader
from perdure.backends.sqlite.writer import Writer
from perdure.clock import Clock
from perdure.errors import ConfigurationError

T = TypeVar("T")

_numbers = itertools.count(1)


def hub_key(place: Place) -> str:
    """Where the hub of a place is found; each store in memory has one of its own."""
    return f"sqlite :memory:{next(_numbers)}" if place.path is None else f"sqlite {place.path}"


class Hub(hub.Hub):
    """One file's."""

    def __init__(self, key: str, place: Place, options: SqliteOptions, clock: Clock) -> None:
        super().__init__(key, clock)
        self.place = place
        self.options = options
        self.writer = Writer(place, options, clock, self.tell)
        self.reader = Reader(place, self.writer)
        self.presence = Presence(place)
        self._opened = self.writer.start()

    @property
    def committer(self) -> Writer:
        return self.writer

    @property
    def opened(self) -> Future[None]:
        return self._opened

    async def read(self, action: Callable[[Looking], T]) -> T:
        return await self.reader.read(action)

    def end_reading(self) -> None:
        self.presence.close()
        self.reader.end()

    def end_writing(self) -> Future[None]:
        return self.writer.end()

    def check(self, options: SqliteOptions) -> None:
        """Raises ConfigurationError if a handle wants the file otherwise than the others have it."""
        if options.synchronous != self.options.synchronous:
            raise ConfigurationError(
                f"{self.place.name} is open in this process with synchronous={self.options.synchronous}: one "
                f"connection writes for all handles, so they must agree."
            )


def join_hub(key: str, place: Place, options: SqliteOptions, clock: Clock) -> Hub:
    """The hub of that key, made if it is the first handle. Raises ConfigurationError."""
    return hub.join_hub(key, Hub, lambda: Hub(key, place, options, clock), lambda found: found.check(options))
