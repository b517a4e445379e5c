"""Several machines that work on one store: each reaches it through a proxy of its own, and shares nothing with the others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import msgspec

from perdure.backends.connect import connect
from perdure.backends.protocol import Backend
from perdure.testing.conformance import StoreUnderTest
from tests.network.proxy import Proxy, proxy_before


class Machine(msgspec.Struct, frozen=True):
    backend: Backend
    proxy: Proxy


class Machines:
    """Makes them; all end with the test."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack

    async def start(self, **options: object) -> Machine:
        """A further machine, whose store is open. Options are those of the store."""
        machine = await self.make(**options)
        await machine.backend.open()
        return machine

    async def make(self, **options: object) -> Machine:
        """A further machine, whose store isn't open yet."""
        proxy = await self._stack.enter_async_context(proxy_before(self._url))
        backend = connect(proxy.url, **options)
        self._stack.push_async_callback(backend.close)
        return Machine(backend, proxy)


def under_test(backend: Backend) -> StoreUnderTest:
    """For workers played by hand, in real time."""
    return StoreUnderTest(backend, advance=asyncio.sleep, is_clock_manual=False)
