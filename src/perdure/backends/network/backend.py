"""`NetworkBackend`: a handle on a store behind a network, opened on one event loop."""

from __future__ import annotations

from perdure.backends.handle import RowBackend
from perdure.backends.hub import join_hub
from perdure.backends.network.clock import StoreClock
from perdure.backends.network.hub import Hub
from perdure.backends.network.link import Network
from perdure.backends.protocol import WorkerStart
from perdure.clock import Clock


class NetworkBackend(RowBackend[Hub]):
    """All handles of a process on one store, on whichever event loops, share its connections."""

    def __init__(self, network: Network, *, clock: Clock | None = None) -> None:
        """`clock` is for tests: it goes before the server's."""
        self._network = network
        self._clock = clock or StoreClock()
        self._given_clock = clock

    @property
    def url(self) -> str:
        return self._network.url

    def _join_hub(self) -> Hub:
        key = self._network.key
        return join_hub(key, Hub, self._make_hub)

    def _make_hub(self) -> Hub:
        return Hub(self._network.key, self._network, self._clock)

    async def open(self) -> None:
        await super().open()
        self._clock = self._opened.clock

    def twin(self) -> NetworkBackend:
        return NetworkBackend(self._network, clock=self._given_clock)

    async def start_worker(self, start: WorkerStart) -> int:
        key = await super().start_worker(start)
        self._opened.workers.add(key)
        return key

    async def stop_worker(self, worker_key: int) -> None:
        await super().stop_worker(worker_key)
        self._opened.workers.discard(worker_key)
