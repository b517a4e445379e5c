"""What time brings to a store, carried out by whichever worker comes first."""

from __future__ import annotations

import asyncio

from perdure.backends.endings import losses_reason
from perdure.backends.protocol import Backend
from perdure.clock import Micros, new_dice
from perdure.errors import StoreError
from perdure.observability.advice import advice_for
from perdure.observability.logging import Log
from perdure.worker.backoff import HOPELESS, Backoff

_SECONDS_BETWEEN = 3.0
_SPREAD_SECONDS = 0.5
"""Over which those who all know when a lease lapses come one after the other; whoever is later finds it done."""


async def keep_house(backend: Backend, logger: Log) -> None:
    """Housekeeping at once, for what a killed worker left, and then every few seconds; workers don't do it in step.

    And as soon as a worker's lease lapses that hasn't been heard of: what it held waits no longer than that.
    """
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
            logger.warning(
                "%d workers were lost, with %d running activities: others take over",
                done.workers_lost,
                done.activities_lost,
            )
        for instance_id in done.stuck:
            advice = advice_for(losses_reason(), instance_id)
            extra = {"instance_id": instance_id, "stuck": advice.kind}
            logger.error("%s is stuck and waits for resume. %s", instance_id, advice.text, extra=extra)
        await asyncio.sleep(pause_seconds(done.next_lapse_in, dice.random()))


def pause_seconds(next_lapse_in: Micros | None, chance: float) -> float:
    """Until the next round; `chance`, from 0 to 1, is what keeps workers apart."""
    regular = _SECONDS_BETWEEN * (0.5 + chance)
    if next_lapse_in is None:
        return regular
    return min(regular, next_lapse_in / 1_000_000 + _SPREAD_SECONDS * (0.1 + chance))
