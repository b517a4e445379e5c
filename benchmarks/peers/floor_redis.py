"""The floor on Redis: a batch is one call of a script, and its rows are the arguments."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis as Client

from benchmarks.peers.floor_store import COMPLETE_INSTANCE, DELETE_TASK, INSERT_EVENTS, INSERT_INSTANCE, INSERT_TASK
from benchmarks.stores.kind import option, without_options

_WRITE = """
local prefix, call, at = KEYS[1], redis.call, 1
local function each_row(width, write)
    local number = tonumber(ARGV[at])
    at = at + 1
    for _ = 1, number do
        write(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
        at = at + width
    end
end
each_row(6, function(id, text_id, name, input, created_at)
    call('hset', prefix .. ':ids', text_id, id)
    call('hset', prefix .. ':instance:' .. id, 'name', name, 'input', input, 'created_at', created_at)
end)
each_row(3, function(instance, _, events) call('rpush', prefix .. ':events:' .. instance, events) end)
each_row(4, function(id, _, _, payload) call('hset', prefix .. ':tasks', id, payload) end)
each_row(1, function(id) call('hdel', prefix .. ':tasks', id) end)
each_row(3, function(result, updated_at, id)
    call('hset', prefix .. ':instance:' .. id, 'result', result, 'updated_at', updated_at)
    call('rpush', prefix .. ':ended', id)
end)
"""
_ORDER = (INSERT_INSTANCE, INSERT_EVENTS, INSERT_TASK, DELETE_TASK, COMPLETE_INSTANCE)


class Redis:
    """One connection; durable is what the server's append-only file makes of it, as with perdure."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._client: Any = client
        self._prefix = prefix
        self._write = client.register_script(_WRITE)

    async def write(self, rows: list[list[tuple[Any, ...]]]) -> None:
        args: list[Any] = []
        for statement in _ORDER:
            args.append(len(rows[statement]))
            args += [value for row in rows[statement] for value in row]
        await self._write(keys=[self._prefix], args=args)

    async def count(self) -> tuple[int, int]:
        workflows, completed = await self._client.hlen(f"{self._prefix}:ids"), 0
        for key in await self._client.lrange(f"{self._prefix}:ended", 0, -1):
            completed += await self._client.hexists(f"{self._prefix}:instance:{key}", "result")
        return workflows, completed


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Redis]:
    client = Client.from_url(without_options(url), decode_responses=True)
    try:
        yield Redis(client, f"{{{option(url, 'prefix')}}}")  # as perdure's keys begin, so that they are swept with them
    finally:
        await client.aclose()
