"""Activities side by side in one workflow: 100, 1,000 and 10,000."""

from __future__ import annotations

import asyncio

from benchmarks.case import Case, Measured, Target, at_least, rate
from benchmarks.measuring import measured, stretch
from benchmarks.verification import Expected, check
from benchmarks.workload import double
from perdure import App, Client, Context, Orchestrator, workflow


@workflow
async def fan_out(ctx: Context, width: int) -> int:
    """All at once, then their sum."""
    return sum(await asyncio.gather(*(ctx.execute_activity(double, x) for x in range(width))))


app = App(workflows=[fan_out], activities=[double])


async def run(store: str, *, count: int, times: int) -> Measured:
    """Fan out to `count` / 10, `count` and `count` * 10; the narrower ones as often as makes them comparable."""
    async with Orchestrator(store, app) as perdure:
        rates, figures = dict[int, float](), dict[str, float]()
        for width, repeated in _widths(count, times).items():
            with stretch(perdure) as took:
                for number in range(repeated):
                    await perdure.run(fan_out.with_options(instance_id=f"wide-{width}-{number}"), width)
            rates[width] = width * repeated / took.seconds
            if width == count:
                figures = took.per_unit(width * repeated)
        figures |= {"rate_of_narrow": rates[count // 10], "rate_of_wide": rates[count * 10]}
        return await measured(perdure, figures | {"wide_to_middle": rates[count * 10] / rates[count]}, in_flight=1)


def _widths(count: int, times: int) -> dict[int, int]:
    return {count // 10: times * 10, count: times, count * 10: 1}


async def verify(store: str, *, count: int, times: int) -> dict[str, int]:
    """All of each width."""
    widths = _widths(count, times)
    async with Client(store, app) as client:
        return await check(client, *(_expected(width, repeated) for width, repeated in widths.items()))


def _expected(width: int, repeated: int) -> Expected:
    return Expected(
        workflow=fan_out,
        count=repeated,
        result=lambda _: width * (width - 1),
        events=("ExecutionStarted", *("ActivityScheduled", "ActivityCompleted") * width, "ExecutionCompleted"),
        in_order=False,
        id_prefix=f"wide-{width}-",
    )


CASE = Case(
    name="fan_out",
    summary="one workflow of 1,000 activities side by side; also 100 and 10,000",
    run=run,
    verify=verify,
    measures=(
        rate("activities", Target(bound=8_000)),
        # Linear, but for noise: ten times as wide, as fast for each.
        at_least("wide_to_middle", "x", Target(bound=0.8), Target(bound=0.8, store="memory")),
        at_least("rate_of_narrow", "activities/s"),
        at_least("rate_of_wide", "activities/s"),
    ),
    scale={"count": 1_000, "times": 5},
    quick={"count": 50, "times": 2},
)
