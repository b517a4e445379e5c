"""What time brings to a store, carried out by whichever worker comes first."""

from __future__ import annotations

import asyncio
import logging

from perdure.backends.protocol import Backend
from perdure.clock import new_dice
from perdure.errors import StoreError
from perdure.worker.backoff import HOPELESS, Backoff

_SECONDS_BETWEEN = 3.0


async def keep_house(backend: Backend, logger: logging.Logger) -> None:
    """Housekeeping at once, for what a killed worker left, and then every few seconds; workers don't do it in step."""
    backoff = Backoff(logger, "housekeeping")
    dice = new_dice()
    while True:
        try:
            done = await backend.housekeep()
        except HOPELESS:
            return  # the next claim says it
        except StoreError as problem:
            await asyncio.sleep(backoff.failed(problem))
            continue
        backoff.worked()
        if done.workers_lost:
            logger.warning("%d workers were lost, with %d running activities", done.workers_lost, done.activities_lost)
        await asyncio.sleep(_SECONDS_BETWEEN * dice.uniform(0.5, 1.5))
