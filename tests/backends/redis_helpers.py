"""What the tests of the Redis store share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import cache
from itertools import islice
from typing import Any

from redis import Redis
from redis.cluster import RedisCluster

from perdure.backends.partition import Partition
from perdure.backends.redis import RedisBackend, RedisOptions
from perdure.clock import random_id
from perdure.testing.conformance import ManualClock, StoreUnderTest
from tests.places import place
from tests.stores import service_url

_NOT_OF_INSTANCES = (
    "header",
    "workers",
    "beats",
    "alive",
    "dead",
    "settings:",
    "buckets",
    "permits",
    "queues",
    "received",
)


def client_of(url: str) -> Any:
    """A client of its own, beside the store's."""
    if url.startswith("redis+cluster"):
        return RedisCluster.from_url(url.replace("redis+cluster", "redis"))
    return Redis.from_url(url)


@cache
def _lasting_client_of(url: str) -> Any:
    """For all tests of a process: one of a cluster takes longer to make than most of them take."""
    return client_of(url)


@asynccontextmanager
async def opened(server: str, *, clock: ManualClock | None = None, **options: Any) -> AsyncIterator[StoreUnderTest]:
    """A store of its own on a server that others use as well."""
    url = service_url(server)

    async def advance(seconds: float) -> None:
        assert clock is not None, "this test lives in real time"
        clock.advance(seconds)
        await asyncio.sleep(0)

    async def count_rows() -> int:
        client = _lasting_client_of(url)
        keys = client.scan_iter(match=f"{{{prefix}:*", count=1000)
        return sum(_SIZES[client.type(key)](client, key) for key in keys if not _is_of_store(key))

    with place(url) as prefix:
        backend = RedisBackend(url, RedisOptions(prefix=prefix, **options), clock=clock)
        await backend.open()
        try:
            partitions = int(_lasting_client_of(url).hget(f"{{{prefix}:0}}:header", "partitions"))
            yield StoreUnderTest(
                backend,
                advance=advance,
                count_rows=count_rows,
                is_clock_manual=clock is not None,
                neighbours=neighbours(partitions),
            )
        finally:
            await backend.close()


def _is_of_store(key: bytes) -> bool:
    return key.split(b"}:")[1].decode().startswith(_NOT_OF_INSTANCES)


def neighbours(partitions: int, number: int = 0, count: int = 9) -> tuple[str, ...]:
    """Ids of instances that lie in one partition."""
    partition = Partition(number, partitions)
    ids = (f"order-{number}" for number in range(count * 100))
    return tuple(islice((each for each in ids if partition.of_id(each) == number), count))


_SIZES: dict[bytes, Any] = {
    b"hash": lambda client, key: client.hlen(key),
    b"zset": lambda client, key: client.zcard(key),
    b"list": lambda client, key: client.llen(key),
    b"none": lambda client, key: 0,
}


class Beside:
    """Another process' view of the same store (a hub of its own), and a client that sees what lies in Redis."""

    def __init__(self, backend: RedisBackend, client: Any, prefix: str) -> None:
        self.backend = backend
        self.store = StoreUnderTest(backend, advance=no_advance, is_clock_manual=False)
        self.client = client
        self._prefix = prefix

    def dump(self) -> dict[bytes, bytes]:
        return {key: self.client.dump(key) for key in self.client.scan_iter(match=f"{{{self._prefix}:*", count=1000)}

    async def commands_of(self, action: Awaitable[object]) -> list[str]:
        """The commands that reach the server for this store meanwhile; what scripts do isn't among them."""
        marker = random_id().hex()
        names: list[str] = []
        with self.client.monitor() as monitor:
            await action
            self.client.echo(marker)
            while marker not in (said := monitor.next_command())["command"]:
                if said["client_type"] != "lua" and self._prefix in said["command"]:
                    names.append(said["command"].split()[0])
        return names


@asynccontextmanager
async def beside(store: StoreUnderTest) -> AsyncIterator[Beside]:
    """The other one: by another URL, or it would share the first one's connections."""
    assert isinstance(store.backend, RedisBackend)
    prefix = store.backend.prefix
    url = service_url("redis")
    backend = RedisBackend(f"{url}?client_name=other", RedisOptions(prefix=prefix))
    client = client_of(url)
    await backend.open()
    try:
        yield Beside(backend, client, prefix)
    finally:
        await backend.close()
        client.close()


async def no_advance(seconds: float) -> None:
    raise AssertionError("these tests live in real time")
