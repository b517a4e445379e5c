"""A workflow with a long history goes on where it isn't in memory: its history is read and replayed first."""

from __future__ import annotations

import statistics
import time

from benchmarks.case import Case, Measured, Target, at_most
from benchmarks.measuring import keep_in_flight, measured, stretch, until
from benchmarks.verification import Expected, check
from benchmarks.workload import double, go_on
from perdure import App, Client, Context, Orchestrator, workflow

SHORT_STEPS = 1


@workflow
async def steps_then_wait(ctx: Context, steps: int) -> int:
    """A history that is long by activities, and ends after a signal."""
    total = 0
    for step in range(steps):
        total += await ctx.execute_activity(double, step)
    return total + await ctx.signal_channel(go_on).receive()


app = App(workflows=[steps_then_wait], activities=[double])


async def run(store: str, *, events: int, times: int) -> Measured:
    """`times` workflows of that many events, and as many short ones: what a signal takes to end each, cold."""
    steps = _steps(events)
    async with Orchestrator(store, app) as perdure:

        async def start(number: int) -> None:
            await perdure.start(steps_then_wait.with_options(instance_id=f"long-{number}"), steps)
            await perdure.start(steps_then_wait.with_options(instance_id=f"short-{number}"), SHORT_STEPS)

        await keep_in_flight(times, times, start)
        await _until_all_have(perdure, steps)
    async with Orchestrator(store, app) as perdure:  # another worker, with nothing in memory
        await _end(perdure, "short-0")  # what is loaded at the first use
        short = [await _end(perdure, f"short-{number}") for number in range(1, times)]
        with stretch(perdure) as took:
            long = [await _end(perdure, f"long-{number}") for number in range(times)]
        figures = took.per_unit(times * events) | {
            "replay_ms": statistics.median(long) * 1000,
            "replay_most_ms": max(long) * 1000,
            "short_history_ms": statistics.median(short) * 1000,
        }
        return await measured(perdure, figures, in_flight=1, events=events)


def _steps(events: int) -> int:
    """As many as make that history, with its start."""
    return (events - 1) // 2


async def _until_all_have(client: Client, steps: int) -> None:
    """Until each is at its wait: all its activities are in its history."""

    async def is_so() -> bool:
        lengths = [
            (instance.history_length, steps if instance.instance_id.startswith("long-") else SHORT_STEPS)
            async for instance in client.list()
        ]
        return all(length == 1 + 2 * wanted for length, wanted in lengths)

    await until(is_so)


async def _end(client: Client, instance_id: str) -> float:
    """Seconds from the signal to the result."""
    began = time.perf_counter()
    handle = client.handle(instance_id, steps_then_wait)
    await handle.signal(go_on, 1)
    await handle.result()
    return time.perf_counter() - began


async def verify(store: str, *, events: int, times: int) -> dict[str, int]:
    """Long and short ones, each with every step and the signal."""
    async with Client(store, app) as client:
        return await check(client, _expected("long-", _steps(events), times), _expected("short-", SHORT_STEPS, times))


def _expected(id_prefix: str, steps: int, times: int) -> Expected:
    return Expected(
        workflow=steps_then_wait,
        count=times,
        result=lambda _: sum(2 * step for step in range(steps)) + 1,
        events=(
            "ExecutionStarted",
            *("ActivityScheduled", "ActivityCompleted") * steps,
            "SignalReceived",
            "ExecutionCompleted",
        ),
        id_prefix=id_prefix,
    )


CASE = Case(
    name="replay",
    summary="a signal to a workflow of 10,000 events that isn't in memory, until it has ended",
    run=run,
    verify=verify,
    measures=(
        at_most("replay_ms", "ms", Target(bound=150), Target(bound=150, store="memory")),
        at_most("short_history_ms", "ms"),
    ),
    scale={"events": 10_000, "times": 5},
    quick={"events": 101, "times": 2},
)
