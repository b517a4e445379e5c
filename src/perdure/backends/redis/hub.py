"""What the handles on one Redis store share within a process: a writer for each partition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from perdure.backends.committing import Tell
from perdure.backends.looking import Looking
from perdure.backends.network import hub
from perdure.backends.network.link import Network
from perdure.backends.network.writer import Writer
from perdure.backends.partitions.committer import Partitions
from perdure.backends.redis.network import RedisNetwork
from perdure.clock import Clock

T = TypeVar("T")


class RedisHub(hub.Hub):
    """One store's."""

    def __init__(self, key: str, network: RedisNetwork, clock: Clock) -> None:
        self._redis = network
        self._first = network.link()
        super().__init__(key, network, clock)

    def _make_writer(self, network: Network) -> Partitions:
        self.partitions = Partitions(self._make_one, lambda: self._first.layout.count, self._tell, self._poll)
        return self.partitions

    def _make_one(self, number: int, tell: Tell) -> Writer:
        link = self._redis.link_to(self._first.layout, number) if number else self._first
        name = f"{self._redis.url} (partition {number})" if number else self._redis.url
        return Writer(link, name, self.clock, self.workers, tell, self._poll, measures=number == 0)

    async def read(self, action: Callable[[Looking], T]) -> T:
        """What was sent before, to whatever partition, has arrived there."""
        loop = asyncio.get_running_loop()
        delivered: asyncio.Future[None] = loop.create_future()

        def go_on() -> None:
            loop.call_soon_threadsafe(_settle, delivered)

        if self.partitions.when_delivered(go_on):
            await delivered
        return await super().read(action)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
