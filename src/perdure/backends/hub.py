"""What all handles on one store share within a process: the thread that writes, and the one that reads.

A hub lives from the first handle that opens to the last one that closes. A forked child has none of its threads: it
starts with no hubs, and handles that it inherited are closed.
"""

from __future__ import annotations

import asyncio
import os
import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from perdure.backends.desk import LISTEN_SECONDS, Committer, Desk
from perdure.backends.group_commit import Job
from perdure.backends.looking import Looking
from perdure.backends.wakes import Wakes
from perdure.clock import Clock
from perdure.errors import StoreUnavailable

_CLOSING_SECONDS = 30.0

T = TypeVar("T")
H = TypeVar("H", bound="Hub")

_hubs: dict[str, Hub] = {}
_hubs_lock = threading.Lock()
_inherited: list[Hub] = []


class Hub:
    """One store's threads, with all who have them."""

    def __init__(self, key: str, clock: Clock) -> None:
        self.clock = clock
        self.desks: tuple[Desk, ...] = ()
        self._key = key
        self._handles = 0

    # --- what each store has of its own

    @property
    @abstractmethod
    def committer(self) -> Committer:
        """The thread that writes."""

    @property
    @abstractmethod
    def opened(self) -> Future[None]:
        """Done when the store is open, or not."""

    @property
    def listen_seconds(self) -> float:
        """How often the committer is told that somebody waits."""
        return LISTEN_SECONDS

    @abstractmethod
    async def read(self, action: Callable[[Looking], T]) -> T:
        """What `action` reads, in the thread that reads."""

    @abstractmethod
    def end_reading(self) -> None:
        """End the thread that reads."""

    @abstractmethod
    def end_writing(self) -> Future[None]:
        """Done when everything is written and the store closed."""

    # --- from event loops

    async def attach(self) -> Desk:
        """A desk for the running event loop, once the store is open. Raises StoreError."""
        try:
            await asyncio.shield(asyncio.wrap_future(self.opened))
        except BaseException as problem:
            if self._leave():
                self.end_writing()
            # The same exception may be raised in several loops: each gets its own traceback.
            raise problem.with_traceback(None) from problem.__cause__
        loop = asyncio.get_running_loop()
        desk = Desk(loop, self.committer, self._read_ended, self.clock, listen_seconds=self.listen_seconds)
        with _hubs_lock:
            self.desks = (*self.desks, desk)
        return desk

    async def detach(self, desk: Desk) -> None:
        """Finish what the desk has under way; the last one closes the store."""
        await desk.close()
        with _hubs_lock:
            self.desks = tuple(some for some in self.desks if some is not desk)
        if self._leave():
            await asyncio.get_running_loop().run_in_executor(None, self.end_reading)
            # Somebody may hold a lock for good: the thread is a daemon and goes on waiting alone.
            await asyncio.wait((asyncio.wrap_future(self.end_writing()),), timeout=_CLOSING_SECONDS)

    def joined(self) -> None:
        """There is one more handle."""
        self._handles += 1

    async def _read_ended(self, ids: Sequence[str], questions: Sequence[bytes]) -> Wakes:
        return await self.read(lambda looking: looking.read_ended(ids, questions))

    def _leave(self) -> bool:
        """Whether that was the last handle."""
        with _hubs_lock:
            self._handles -= 1
            if self._handles == 0 and _hubs.get(self._key) is self:
                del _hubs[self._key]
            return self._handles == 0

    def tell(self, jobs: list[Job], wakes: Wakes, has_strangers: bool) -> None:
        """From the writer's thread: each loop hears once of what concerns it."""
        desks = self.desks
        if len(desks) == 1:
            desks[0].told(jobs, wakes, has_strangers)
            return
        for desk in desks:
            desk.told([job for job in jobs if job.mailbox is desk.mailbox], wakes, has_strangers)


def join_hub(key: str, kind: type[H], make: Callable[[], H], check: Callable[[H], None] | None = None) -> H:
    """The hub of that key, made if this is the first handle; `check` raises if the handle can't have it as it is."""
    with _hubs_lock:
        hub = _hubs.get(key)
        if hub is None:
            hub = _hubs[key] = make()
        assert isinstance(hub, kind)
        if check is not None:
            check(hub)
        hub.joined()
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
                    "This store was opened before the process forked: open another one in the child. Nothing was written.",
                    is_unwritten=True,
                )
            )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
