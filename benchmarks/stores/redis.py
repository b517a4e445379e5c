"""Redis, alone and as a cluster: a prefix for each run."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis as Client
from redis.asyncio.cluster import RedisCluster

from benchmarks.stores.importing import multiply
from benchmarks.stores.kind import option, with_option, without_options

_SETTINGS = ("appendonly", "appendfsync", "maxmemory-policy", "save")
_SWEPT_AT_ONCE = 1_000


class Redis:
    """The server of PERDURE_TEST_REDIS, the cluster of PERDURE_TEST_REDIS_CLUSTER, or of another URL."""

    is_remote = True
    promised: Mapping[str, Any] = {"appendonly": "yes", "appendfsync": "everysec"}

    def __init__(self, name: str, *, schemes: tuple[str, ...]) -> None:
        self.name = name
        self.schemes = schemes

    def url(self) -> str | None:
        return os.environ.get(f"PERDURE_TEST_{self.name.upper().replace('-', '_')}")

    async def fresh(self, url: str, folder: Path, run: str) -> str:
        return with_option(url, "prefix", f"bench-{run}")

    async def beside(self, url: str) -> str:
        return with_option(url, "prefix", f"{option(url, 'prefix')}-beside")

    async def settings(self, url: str) -> dict[str, Any]:
        async with _nodes(url) as nodes:
            found = {name: (await nodes[0].config_get(name)).get(name) for name in _SETTINGS}
            version = (await nodes[0].info("server"))["redis_version"]
        return {"redis_version": version, "masters": len(nodes), **found}

    async def multiply(self, url: str, templates: Mapping[str, int]) -> None:
        await multiply(url, templates)

    async def commands(self, url: str) -> int:
        """Of all masters; what a script calls isn't counted."""
        async with _nodes(url) as nodes:
            return sum([(await node.info("stats"))["total_commands_processed"] for node in nodes])

    async def drop(self, url: str) -> None:
        """Of the one beside, too: its prefix begins with this one."""
        async with _nodes(url) as nodes:
            for node in nodes:
                keys = [key async for key in node.scan_iter(match=f"{{{option(url, 'prefix')}*", count=_SWEPT_AT_ONCE)]
                for some in _parts(keys):
                    async with node.pipeline(transaction=False) as sweep:  # one of many keys must not cross slots
                        for key in some:
                            sweep.unlink(key)
                        await sweep.execute()


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[begin : begin + _SWEPT_AT_ONCE] for begin in range(0, len(keys), _SWEPT_AT_ONCE))


@asynccontextmanager
async def _nodes(url: str) -> AsyncIterator[list[Client]]:
    """A client of each master."""
    plain = without_options(url).replace("redis+cluster:", "redis:")
    nodes = [Client.from_url(plain, decode_responses=True)]
    if "cluster" in url:
        async with RedisCluster.from_url(plain) as cluster:
            addresses = [(node.host, int(node.port)) for node in cluster.get_primaries()]
        nodes = [Client(host=host, port=port, decode_responses=True) for host, port in addresses]
    try:
        yield nodes
    finally:
        for node in nodes:
            await node.aclose()
