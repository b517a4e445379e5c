"""Many timers that are due at the same moment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from benchmarks.case import Case, Measured, Target, at_most
from benchmarks.measuring import keep_in_flight, measured, stretch, until, until_all_wait
from benchmarks.verification import Expected, NotAsCounted, check, number_of
from perdure import App, Client, Context, Orchestrator, State, workflow


@workflow
async def sleep_until(ctx: Context, due_at: datetime, x: int) -> int:
    """One timer, then the end."""
    await ctx.sleep(due_at - ctx.now())
    return x + 1


app = App(workflows=[sleep_until])


async def run(store: str, *, count: int, lead_seconds: int) -> Measured:
    """All are set `lead_seconds` before; from the moment on, how long until the last workflow has ended."""
    async with Orchestrator(store, app) as perdure:
        due_at = datetime.now(UTC) + timedelta(seconds=lead_seconds)

        async def start(x: int) -> None:
            await perdure.start(sleep_until.with_options(instance_id=f"sleeps-{x:08d}"), due_at, x)

        async def have_all_ended() -> bool:
            return (await perdure.count()).get(State.COMPLETED, 0) == count

        await keep_in_flight(count, 200, start)
        await until_all_wait(perdure)
        left_seconds = (due_at - datetime.now(UTC)).total_seconds()
        if left_seconds <= 0:
            raise RuntimeError(f"{count} timers weren't all set {lead_seconds} s after the first: give more time")
        await asyncio.sleep(left_seconds)
        with stretch(perdure) as took:
            await until(have_all_ended)
        figures = took.per_unit(count) | await _lateness(perdure, due_at)
        return await measured(perdure, figures | {"all_ended_s": took.seconds}, lead_seconds=lead_seconds)


async def _lateness(client: Client, due_at: datetime) -> dict[str, float]:
    """By the ends that the store has recorded."""
    late = sorted(
        [(instance.ended_at - due_at).total_seconds() async for instance in client.list() if instance.ended_at]
    )
    if late[0] < 0:
        raise NotAsCounted(f"a timer fired {-late[0]} s before it was due")
    return {"late_p50_ms": late[len(late) // 2] * 1000, "late_most_ms": late[-1] * 1000}


async def verify(store: str, *, count: int, lead_seconds: int) -> dict[str, int]:
    """All of them, each with its timer."""
    async with Client(store, app) as client:
        return await check(
            client,
            Expected(
                workflow=sleep_until,
                count=count,
                result=lambda instance_id: number_of(instance_id) + 1,
                events=("ExecutionStarted", "TimerSet", "TimerFired", "ExecutionCompleted"),
            ),
        )


CASE = Case(
    name="timers",
    summary="10,000 timers due at once: until the last of their workflows has ended",
    run=run,
    verify=verify,
    measures=(
        at_most("all_ended_s", "s", Target(bound=2.0), Target(bound=2.0, store="memory")),
        at_most("late_p50_ms", "ms"),
    ),
    scale={"count": 10_000, "lead_seconds": 8},
    quick={"count": 50, "lead_seconds": 1},
)
