"""What the handles on one store share within a process, and what they hear of others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

from perdure.backends import hub
from perdure.backends.desk import Committer
from perdure.backends.group_commit import Job
from perdure.backends.looking import Looking
from perdure.backends.network.link import Network
from perdure.backends.network.notifying import Announcer, Ear
from perdure.backends.network.reader import Reader
from perdure.backends.network.writer import Writer
from perdure.backends.notices import decode_notice
from perdure.backends.wakes import Wakes
from perdure.clock import Clock, random_id

T = TypeVar("T")

_POLL_SECONDS = 1.0
_POLL_WITHOUT_NOTICES_SECONDS = 0.05


class NetworkCommitter(Committer, Protocol):
    """What writes, in threads of its own."""

    def start(self) -> Future[None]:
        """Done when the store is open, or not."""
        ...

    def end(self) -> Future[None]:
        """Done when all that was put has been carried out and the store is closed."""
        ...


class Hub(hub.Hub):
    """One store's."""

    def __init__(self, key: str, network: Network, clock: Clock) -> None:
        super().__init__(key, clock)
        self.workers: set[int | None] = set()
        """The keys of this process's own."""
        name, self._origin = network.url, random_id()
        self._polled_at = 0.0
        self._poll_lock = threading.Lock()
        self.writer = self._make_writer(network)
        self._reader = Reader(network.looker(), name)
        herald, listener = network.herald(), network.listener()
        self._announcer = None if herald is None else Announcer(herald, name, self._origin, self.workers)
        self._ear = None if listener is None else Ear(listener, name, self._heard)
        self._poll_seconds = _POLL_WITHOUT_NOTICES_SECONDS if self._ear is None else _POLL_SECONDS
        self._opened = self.writer.start()

    def _make_writer(self, network: Network) -> NetworkCommitter:
        return Writer(network.link(), network.url, self.clock, self.workers, self._tell, self._poll)

    @property
    def committer(self) -> NetworkCommitter:
        return self.writer

    @property
    def opened(self) -> Future[None]:
        return self._opened

    @property
    def listen_seconds(self) -> float:
        return self._poll_seconds

    async def read(self, action: Callable[[Looking], T]) -> T:
        return await self._reader.read(action)

    def end_reading(self) -> None:
        if self._ear is not None:
            self._ear.end()
        self._reader.end()

    def end_writing(self) -> Future[None]:
        if self._ear is not None:
            self._ear.end()  # if the store couldn't be opened, there was no reading to end
        closed, announcer = self.writer.end(), self._announcer
        if announcer is None:
            return closed
        # Nobody joins the thread: this may be an event loop that the connection needs.
        closed.add_done_callback(lambda _: announcer.end())
        return announcer.ended

    def _tell(self, jobs: list[Job], wakes: Wakes, has_strangers: bool) -> None:
        """From the writer's thread."""
        if wakes and self._announcer is not None:
            self._announcer.add(wakes)
        self.tell(jobs, wakes, has_strangers)

    # --- others

    def _heard(self, notice: bytes | None) -> None:
        """From the listener's thread. None: notices may have been missed."""
        if notice is None:
            for desk in self.desks:
                desk.told([], Wakes(), True)
            return
        heard = decode_notice(notice)
        if heard.origin != self._origin:
            for desk in self.desks:
                desk.heard(heard)

    def _poll(self) -> None:
        """Somebody waits: notices are hints, looking is the guarantee."""
        with self._poll_lock:
            now = time.monotonic()
            if now - self._polled_at < self._poll_seconds * 0.9:
                return
            self._polled_at = now
        for desk in self.desks:
            desk.poll(rings=self._ear is None)
