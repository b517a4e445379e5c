"""`NetworkBackend`: a handle on a store behind a network, opened on one event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from perdure.backends import hub as hubs
from perdure.backends.handle import RowBackend
from perdure.backends.looking import Looking
from perdure.backends.network.clock import StoreClock
from perdure.backends.network.hub import Hub
from perdure.backends.network.link import Network
from perdure.backends.protocol import WorkerStart
from perdure.clock import Clock

T = TypeVar("T")


class NetworkBackend(RowBackend):
    """All handles of a process on one store, on whichever event loops, share its connections."""

    def __init__(self, network: Network, *, clock: Clock | None = None) -> None:
        """`clock` is for tests: it goes before the server's."""
        self._network = network
        self._clock = clock or StoreClock()
        self._given_clock = clock
        self._hub: Hub | None = None

    @property
    def url(self) -> str:
        return self._network.url

    @property
    def commits(self) -> int:
        """How many transactions the process has committed on this store."""
        return self._opened.writer.commits

    async def open(self) -> None:
        if self._hub is not None:
            return
        key = self._network.key
        self._hub = hubs.join_hub(key, Hub, lambda: Hub(key, self._network, self._clock))
        try:
            self._desk = await self._hub.attach()
        except BaseException:
            self._hub = None
            raise
        self._clock = self._hub.clock

    async def close(self) -> None:
        hub, desk = self._hub, self._desk
        self._hub = self._desk = None
        if hub is not None and desk is not None:
            await hub.detach(desk)

    def twin(self) -> NetworkBackend:
        return NetworkBackend(self._network, clock=self._given_clock)

    async def start_worker(self, start: WorkerStart) -> int:
        key = await super().start_worker(start)
        self._opened.workers.add(key)
        return key

    async def stop_worker(self, worker_key: int) -> None:
        await super().stop_worker(worker_key)
        self._opened.workers.discard(worker_key)

    @property
    def _opened(self) -> Hub:
        if self._hub is None:
            raise self._not_open()
        return self._hub

    async def _look(self, action: Callable[[Looking], T]) -> T:
        return await self._opened.read(action)
