"""What all handles on one file share within a process: the writer, the reader, the locks of workers.

A hub lives from the first handle that opens to the last one that closes. A forked child has none of its threads: it
starts with no hubs, and handles that it inherited are closed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Sequence

from perdure.backends.desk import Desk
from perdure.backends.group_commit import Job
from perdure.backends.sqlite.connection import Place, SqliteOptions
from perdure.backends.sqlite.presence import Presence
from perdure.backends.sqlite.reader import Reader
from perdure.backends.sqlite.writer import Writer
from perdure.backends.wakes import Wakes
from perdure.clock import Clock
from perdure.errors import ConfigurationError, StoreUnavailable

_CLOSING_SECONDS = 30.0

_hubs: dict[str, Hub] = {}
_hubs_lock = threading.Lock()
_inherited: list[Hub] = []
_numbers = itertools.count(1)


def hub_key(place: Place) -> str:
    """Where the hub of a place is found; each store in memory has one of its own."""
    return f":memory:{next(_numbers)}" if place.path is None else str(place.path)


class Hub:
    """One file's writer, with all who have it."""

    def __init__(self, key: str, place: Place, options: SqliteOptions, clock: Clock) -> None:
        self.place = place
        self.options = options
        self.clock = clock
        self.writer = Writer(place, options, clock, self._tell)
        self.reader = Reader(place, self.writer)
        self.presence = Presence(place)
        self.desks: tuple[Desk, ...] = ()
        self._key = key
        self._handles = 0
        self._opened = self.writer.start()

    async def attach(self) -> Desk:
        """A desk for the running event loop, once the database is open. Raises StoreError."""
        try:
            await asyncio.shield(asyncio.wrap_future(self._opened))
        except BaseException as problem:
            if self._leave():
                self.writer.end()
            # The same exception may be raised in several loops: each gets its own traceback.
            raise problem.with_traceback(None) from problem.__cause__
        desk = Desk(asyncio.get_running_loop(), self.writer, self._read_ended, self.clock)
        with _hubs_lock:
            self.desks = (*self.desks, desk)
        return desk

    async def _read_ended(self, ids: Sequence[str], questions: Sequence[bytes]) -> Wakes:
        return await self.reader.read(lambda looking: looking.read_ended(ids, questions))

    async def detach(self, desk: Desk) -> None:
        """Finish what the desk has under way; the last one closes the database."""
        await desk.close()
        with _hubs_lock:
            self.desks = tuple(some for some in self.desks if some is not desk)
        if self._leave():
            self.presence.close()
            await asyncio.get_running_loop().run_in_executor(None, self.reader.end)
            # Somebody may hold the lock for good: the thread is a daemon and goes on waiting alone.
            await asyncio.wait((asyncio.wrap_future(self.writer.end()),), timeout=_CLOSING_SECONDS)

    def _leave(self) -> bool:
        """Whether that was the last handle."""
        with _hubs_lock:
            self._handles -= 1
            if self._handles == 0 and _hubs.get(self._key) is self:
                del _hubs[self._key]
            return self._handles == 0

    def join(self, options: SqliteOptions) -> None:
        """One more handle. Raises ConfigurationError if it wants the file otherwise than the others have it."""
        if options.synchronous != self.options.synchronous:
            raise ConfigurationError(
                f"{self.place.name} is open in this process with synchronous={self.options.synchronous}: one "
                f"connection writes for all handles, so they must agree."
            )
        self._handles += 1

    def _tell(self, jobs: list[Job], wakes: Wakes, has_strangers: bool) -> None:
        """From the writer's thread: each loop hears once of what concerns it."""
        desks = self.desks
        if len(desks) == 1:
            desks[0].told(jobs, wakes, has_strangers)
            return
        for desk in desks:
            desk.told([job for job in jobs if job.mailbox is desk.mailbox], wakes, has_strangers)


def join_hub(key: str, place: Place, options: SqliteOptions, clock: Clock) -> Hub:
    """The hub of that key, made if it is the first handle."""
    with _hubs_lock:
        hub = _hubs.get(key)
        if hub is None:
            hub = _hubs[key] = Hub(key, place, options, clock)
        hub.join(options)
        return hub


def _forget_in_child() -> None:
    global _hubs_lock  # noqa: PLW0603 - another thread of the parent may have held it
    _hubs_lock = threading.Lock()
    # Kept, so that no finalizer closes the parent's connections from here.
    _inherited.extend(_hubs.values())
    _hubs.clear()
    for hub in _inherited:
        for desk in hub.desks:
            desk.mailbox.refuse(
                StoreUnavailable(
                    "This store was opened before the process forked: open another one in the child. Nothing was written."
                )
            )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
