"""Somebody outside, to whom activities leave their ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.errors import LeaseLost, StoreUnavailable
from perdure.testing.simulation.ledger import Ledger
from perdure.testing.simulation.loop import Host, VirtualClock
from perdure.testing.simulation.programs import Errand
from perdure.testing.simulation.wire import Network, Wire, as_backend

_LATER_SECONDS = 0.5


class Outside:
    """Completes what is handed over, each errand after its time; asks again until the store answers."""

    def __init__(self, host: Host, app: App, store: MemoryBackend, network: Network, ledger: Ledger) -> None:
        backend = as_backend(Wire(host, store, network, None))
        self._client = Client(backend, app, clock=VirtualClock(network.loop))
        self._ledger = ledger

    async def run(self) -> None:
        """Until it is cancelled."""
        async with self._client, asyncio.TaskGroup() as group:
            while True:
                token, errand = await self._ledger.handed_over.get()
                group.create_task(self._complete(token, errand))

    async def _complete(self, token: str, errand: Errand) -> None:
        await asyncio.sleep(errand.seconds)
        with suppress(LeaseLost):  # its worker died before it was open, or nobody waits for it any more
            while True:
                with suppress(StoreUnavailable):
                    await self._client.heartbeat_activity(token)
                    await self._client.complete_activity(token, f"{errand.key}!")
                    return
                await asyncio.sleep(_LATER_SECONDS)
