"""Whole histories, those that are asked for at a time read together.

After a worker's death another one takes hundreds of its instances over, and reads the history of each. One by one they would wait
for a turn of the thread that reads, and for the store, twice each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice

from perdure.backends.looking import HistoryRow, Looking

_AT_ONCE = 64

Rows = dict[int, list[HistoryRow]]
Waiting = dict[tuple[int, bytes], asyncio.Future[list[HistoryRow] | None]]
"""By instance and execution."""
Look = Callable[[Callable[[Looking], Rows]], Awaitable[Rows]]


class Histories:
    """On one event loop. What comes while a read is under way waits for the next one."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._asked: Waiting = {}
        self._reading: asyncio.Task[None] | None = None

    async def rows(self, instance_key: int, execution_id: bytes) -> list[HistoryRow] | None:
        """All of a history; None if it must be read by itself: it is long, of a past execution, or the store wouldn't give them together."""
        future = self._asked.get((instance_key, execution_id))
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._asked[instance_key, execution_id] = loop.create_future()
            if self._reading is None:
                self._reading = loop.create_task(self._read())
        return await asyncio.shield(future)  # others may wait for it too

    async def _read(self) -> None:
        taken: Waiting = {}
        try:
            while self._asked:
                taken = dict(islice(self._asked.items(), _AT_ONCE))
                for each in taken:
                    del self._asked[each]
                while taken:
                    taken = await self._read_some(taken)
        finally:
            self._reading = None
            for future in (*taken.values(), *self._asked.values()):
                future.cancel()
            self._asked.clear()

    async def _read_some(self, taken: Waiting) -> Waiting:
        """Gives those that didn't fit into the page with the others; none if nothing did."""
        wanted = dict(taken.keys())  # of two executions of an instance one is past
        found = await self._found(wanted)
        left: Waiting = {}
        for (key, execution_id), future in taken.items():
            rows = found.get(key) if wanted[key] == execution_id else None
            if rows is None and found:
                left[key, execution_id] = future
            else:
                future.set_result(rows)
        return left

    async def _found(self, wanted: Mapping[int, bytes]) -> Rows:
        try:
            return await self._look(lambda looking: looking.read_histories(wanted))
        except Exception:
            return {}  # each is told by itself, and what one can't be read for is no trouble of the others
