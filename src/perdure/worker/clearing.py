"""What was kept for as long as its retention says is removed, by any worker, of all workflows and queues."""

from __future__ import annotations

import asyncio

from perdure.backends.protocol import Backend
from perdure.clock import new_dice
from perdure.errors import StoreError
from perdure.observability.logging import Log
from perdure.worker.backoff import HOPELESS, Backoff

_AT_ONCE = 100
_REST = 9.0
"""So many times as long as a removal took, others have the store to themselves: nobody waits for this one."""
_SHORTEST_SECONDS = 0.05
_SECONDS_BETWEEN = 10.0


async def clear_away(backend: Backend, logger: Log) -> None:
    """A little at a time while there is something, else a look every few seconds; workers don't do it in step."""
    backoff = Backoff(logger, "removal of expired instances")
    dice, time = new_dice(), asyncio.get_running_loop().time
    removed, took = 0, 0.0
    while True:
        await asyncio.sleep(pause_seconds(removed, took, dice.random()))
        began_at = time()
        try:
            removed = await backend.remove_expired(limit=_AT_ONCE)
        except HOPELESS:
            return  # the next claim says it
        except StoreError as problem:
            await asyncio.sleep(backoff.failed(problem))
            continue
        backoff.worked()
        took = time() - began_at


def pause_seconds(removed: int, took: float, chance: float) -> float:
    """Until the next look; `chance`, from 0 to 1, is what keeps workers apart."""
    return max(_SHORTEST_SECONDS, _REST * took) if removed else _SECONDS_BETWEEN * (0.5 + chance)
