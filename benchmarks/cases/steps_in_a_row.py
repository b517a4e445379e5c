"""One long workflow: what a step costs at its start and at its end."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise

from benchmarks.case import Case, Measured, Target, at_most, rate
from benchmarks.measuring import measured, stretch
from benchmarks.verification import Expected, check
from benchmarks.workload import events_in_a_row
from perdure import App, Client, Context, Orchestrator, activity, workflow

_begun_at: list[float] = []
"""When each activity began. The worker is in this process; one process runs one case once."""


@activity
async def note(x: int) -> int:
    """A step that is seen."""
    _begun_at.append(time.perf_counter())
    return x * 2


@workflow
async def noted_steps(ctx: Context, steps: int) -> int:
    """One activity after the other."""
    total = 0
    for step in range(steps):
        total += await ctx.execute_activity(note, step)
    return total


app = App(workflows=[noted_steps], activities=[note])


async def run(store: str, *, count: int) -> Measured:
    """One workflow of `count` steps."""
    _begun_at.clear()
    async with Orchestrator(store, app) as perdure:
        with stretch(perdure) as took:
            await perdure.run(noted_steps.with_options(instance_id="long"), count)
        return await measured(perdure, took.per_unit(count) | _first_and_last(_begun_at), in_flight=1)


def _first_and_last(begun_at: list[float]) -> dict[str, float]:
    """The middle of what a step took, from the 10th on and up to the last, each over a tenth of all."""
    gaps = [later - earlier for earlier, later in pairwise(begun_at)]
    tenth = max(1, len(gaps) // 10)
    first, last = statistics.median(gaps[9 : 9 + tenth]), statistics.median(gaps[-tenth:])
    return {"first_steps_us": first * 1e6, "last_steps_us": last * 1e6, "last_to_first": last / first}


async def verify(store: str, *, count: int) -> dict[str, int]:
    """The one, with every step."""
    async with Client(store, app) as client:
        return await check(
            client,
            Expected(
                workflow=noted_steps,
                count=1,
                result=lambda _: sum(2 * step for step in range(count)),
                events=events_in_a_row(count),
            ),
        )


CASE = Case(
    name="steps_in_a_row",
    summary="one workflow of 10,000 activities one after the other",
    run=run,
    verify=verify,
    measures=(
        rate("steps", Target(bound=2_500)),
        # As cheap as the first, but for the noise of a median over a thousand steps.
        at_most("last_to_first", "x", Target(bound=1.1), Target(bound=1.1, store="memory")),
    ),
    scale={"count": 10_000},
    quick={"count": 200},
    remote_scale={"count": 2_000},
)
