"""What a fresh process finds in the store after a run."""

from __future__ import annotations

from typing import Any

from benchmarks.workload import app, one_activity
from perdure import Client, State

_expected = ["ExecutionStarted", "ActivityScheduled", "ActivityCompleted", "ExecutionCompleted"]


async def verify(store: str, count: int) -> dict[str, Any]:
    """Check the count, every 97th result and history. Raises AssertionError."""
    async with Client(store, app) as client:
        counts = await client.count(workflow=one_activity.name)
        if counts != {State.COMPLETED: count}:
            raise AssertionError(f"the store has {counts}, not {count} completed ones")
        for x in range(0, count, 97):
            handle = client.handle(f"order-{x:08d}", workflow=one_activity)
            if await handle.result(timeout=5) != 2 * x + 1:
                raise AssertionError(f"the result of order-{x:08d} is wrong")
            kinds = [type(each.event).__name__ async for each in handle.history()]
            if kinds != _expected:
                raise AssertionError(f"the history of order-{x:08d} is {kinds}")
    return {"verified_instances": count}
