"""A queue with both limits, and four workers that compete for it: how much of what they allow is used, and never more.

Twice there is work for `seconds`: of short activities, which the rate holds up, and of long ones, which the number at once does.
Half of the workflows do theirs in a row, where the next one comes back with the commit of the last, half side by side.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.case import SHARED_STORES, Case, Measured, Target, at_least, at_most
from benchmarks.fresh import worker_processes
from benchmarks.measuring import keep_in_flight, measured, until
from benchmarks.verification import Expected, check
from perdure import App, Client, Context, activity, workflow

_WORKERS = 4
_IN_EACH = 4
_IN_FLIGHT = 50
_OF_BOTH = 0.5
"""So much of the one limit is needed to use up the other one."""

Turn = tuple[float, float]


@activity
async def take_a_turn(seconds: float) -> Turn:
    """When it began and when it ended: all processes of a machine have one clock."""
    began_at = time.time()
    await asyncio.sleep(seconds)
    return began_at, time.time()


@workflow
async def turns(ctx: Context, *, are_side_by_side: bool, seconds: float) -> Any:
    """A few of them."""
    if are_side_by_side:
        return list(await asyncio.gather(*(ctx.execute_activity(take_a_turn, seconds) for _ in range(_IN_EACH))))
    return [await ctx.execute_activity(take_a_turn, seconds) for _ in range(_IN_EACH)]


app = App(workflows=[turns], activities=[take_a_turn])


async def run(store: str, *, seconds: int, at_once: int, per_second: int) -> Measured:
    """First the rate is what holds it up, then the number at once."""
    async with Client(store, app) as client:
        await client.queues.set_limits("default", at_once=at_once, per_second=per_second)

        async def are_all_there() -> bool:
            return sum(worker.is_alive for worker in (await client.stats()).workers) == _WORKERS

        async with worker_processes(_WORKERS, f"{__name__}:app", store):
            await until(are_all_there)
            short = await _take_turns(client, "short", seconds * per_second, _OF_BOTH * at_once / per_second)
            long = await _take_turns(
                client, "long", round(seconds * _OF_BOTH * per_second), at_once / per_second / _OF_BOTH
            )
        figures = {
            "rate_used": _rate_used(short, per_second),
            "slots_used": sum(ended - began for began, ended in long) / (at_once * _span(long)),
            "most_at_once": float(max(_most_at_once(short), _most_at_once(long))),
            "most_too_early_ms": 1000 * max(_most_too_early(short, per_second), _most_too_early(long, per_second)),
        }
        return await measured(client, figures, workers=_WORKERS, at_once=at_once, per_second=per_second)


async def _take_turns(client: Client, name: str, count: int, seconds: float) -> list[Turn]:
    """About so many activities; when each ran, in the order of their beginnings."""
    taken: list[Turn] = []

    async def one(x: int) -> None:
        options = turns.with_options(instance_id=f"{name}-{x:08d}")
        taken.extend(map(tuple, await client.run(options, are_side_by_side=x % 2 == 0, seconds=seconds)))

    await keep_in_flight(_workflows(count), _IN_FLIGHT, one)
    return sorted(taken)


def _workflows(count: int) -> int:
    return -(-count // _IN_EACH)


def _span(taken: Sequence[Turn]) -> float:
    return max(ended for _, ended in taken) - taken[0][0]


def _rate_used(taken: Sequence[Turn], per_second: int) -> float:
    """What began, to what might have: a second's worth at once, and the rate from then on."""
    return len(taken) / (per_second * (1 + taken[-1][0] - taken[0][0]))


def _most_at_once(taken: Sequence[Turn]) -> int:
    changes = sorted(change for began, ended in taken for change in ((began, 1), (ended, -1)))
    running = most = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most


def _most_too_early(taken: Sequence[Turn], per_second: int) -> float:
    """By how much any began before its time, which is counted from the first one; nought if none did."""
    return max(0.0, *(taken[0][0] + place / per_second - 1 - began for place, (began, _) in enumerate(taken)))


async def verify(store: str, *, seconds: int, at_once: int, per_second: int) -> dict[str, int]:
    """Each has the times of all its activities."""
    counts = {"short": seconds * per_second, "long": round(seconds * _OF_BOTH * per_second)}
    async with Client(store, app) as client:
        return await check(client, *(_expected(name, _workflows(count)) for name, count in counts.items()))


def _expected(name: str, count: int) -> Expected:
    events = ("ExecutionStarted", *("ActivityScheduled", "ActivityCompleted") * _IN_EACH, "ExecutionCompleted")
    return Expected(
        workflow=turns, count=count, result=lambda _: _AnyTurns(), events=events, in_order=False, id_prefix=f"{name}-"
    )


class _AnyTurns:
    """Equal to what a workflow of these returns."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and len(other) == _IN_EACH

    def __hash__(self) -> int:
        return 0


def _on_all(bound: float) -> tuple[Target, ...]:
    return tuple(Target(bound=bound, store=store) for store in SHARED_STORES)


CASE = Case(
    name="limited_queue",
    summary="a queue limited to 10 at once and 50 per second, four workers: how much of that is used",
    run=run,
    verify=verify,
    measures=(
        at_least("rate_used", "of what may begin", *_on_all(0.9)),
        at_least("slots_used", "of what may run", *_on_all(0.9)),
        at_most("most_at_once", "activities", *_on_all(10)),
        at_most("most_too_early_ms", "ms", *_on_all(1)),
    ),
    scale={"seconds": 60, "at_once": 10, "per_second": 50},
    quick={"seconds": 1, "at_once": 10, "per_second": 50},
    stores=SHARED_STORES,
    rounds=1,
)
