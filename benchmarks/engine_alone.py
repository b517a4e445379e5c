"""The engine without a worker and without a store: `python -m benchmarks.engine_alone`.

Executions are driven by hand, and figures are CPU time of this process; what a store and asyncio cost isn't in them.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks.workload import app, double, one_activity, steps_in_a_row
from perdure import App, Context, Signal, workflow
from perdure.engine.execution import Execution
from perdure.engine.limits import Limits
from perdure.model.event import ActivityCompleted, ExecutionStarted
from perdure.model.task import PendingEvent, WorkflowTask
from perdure.serialization.events import decode_events, encode_events
from perdure.workflows.definition import Workflow

NOW = 1_700_000_000_000_000
UNLIMITED = Limits(history_events=10**9, history_bytes=10**12, warn_events=10**9, warn_bytes=10**12)
go = Signal("go", int)


@workflow
async def fan_out(ctx: Context, width: int) -> int:
    """All activities at once."""
    return sum(await asyncio.gather(*[ctx.execute_activity(double, x) for x in range(width)]))


@workflow
async def children(ctx: Context, width: int) -> int:
    """Sub-workflows side by side."""
    return sum(await asyncio.gather(*[ctx.execute_sub_workflow(one_activity, x) for x in range(width)]))


@workflow
async def waits(ctx: Context) -> int:
    """Waits for a signal."""
    return await ctx.signal_channel(go).receive()


all_workflows = App(workflows=[one_activity, steps_in_a_row, fan_out, children, waits], activities=[double])


def main_task(definition: Workflow[..., Any], number: int) -> WorkflowTask:
    """The first workflow task of an instance."""
    return WorkflowTask(
        instance_key=number, instance_id=f"order-{number:08d}", execution_id=number.to_bytes(16, "big"),
        workflow=definition.name, queue="default", priority=0, version=None, parent=None, token=1, position=0,
        history_bytes=0, now=NOW, pending=(), created_at=NOW,
    )  # fmt: skip


def started(definition: Workflow[..., Any], *args: object) -> PendingEvent:
    """The event that every history begins with."""
    arguments = app.payloads.call(definition.function, skip=1).encode(args, {}).payload
    return PendingEvent(0, ExecutionStarted(at=NOW, workflow=definition.name, arguments=arguments, python=""))


def completed(number: int, result: bytes = b"2") -> PendingEvent:
    """An activity's result."""
    return PendingEvent(number, ActivityCompleted(at=NOW, number=number, result=result))


@contextmanager
def rare_collections() -> Iterator[None]:
    """The thresholds of worker processes."""
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(50_000, 20, 100)
    yield
    gc.set_threshold(*before)


def microseconds(function: Callable[[], object], count: int, rounds: int = 5) -> float:
    """CPU time of one of `count` that the function does, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        function()
        best = min(best, time.process_time() - began)
    return best / count * 1e6


def workflows_of_one_activity(count: int) -> float:
    """From the new execution to the checkpoint that closes it."""
    tasks = [main_task(one_activity, number) for number in range(count)]
    first, second = [started(one_activity, 1)], [completed(1)]

    def run() -> None:
        for task in tasks:
            execution = Execution(task, one_activity, app, limits=UNLIMITED)
            execution.apply(first, NOW)
            execution.apply(second, NOW)

    return microseconds(run, count)


def payloads_and_events(count: int) -> float:
    """What such a workflow has written and read around the engine: its start, the activity's call and result, events."""
    execution = Execution(main_task(one_activity, 1), one_activity, app)
    events = [execution.apply([started(one_activity, 1)], NOW).events, execution.apply([completed(1)], NOW).events]
    workflow_call = app.payloads.call(one_activity.function, skip=1)
    activity_call = app.payloads.call(double.function)

    def run() -> None:
        for number in range(count):
            workflow_call.encode((number,), {})
            activity_call.decode(b"[1]")
            activity_call.encode_result(number)
            workflow_call.decode_result(b"2")
            for row in events:
                encode_events(row)

    return microseconds(run, count)


def steps(count: int) -> float:
    """One step of a workflow of many."""
    results = [[completed(number)] for number in range(1, count + 1)]

    def run() -> None:
        execution = Execution(main_task(steps_in_a_row, 1), steps_in_a_row, app, limits=UNLIMITED)
        execution.apply([started(steps_in_a_row, count)], NOW)
        for result in results:
            execution.apply(result, NOW)
        assert execution.is_closed

    return microseconds(run, count)


def in_one_drain(definition: Workflow[..., Any], width: int) -> float:
    """One command of many that are issued at once."""

    def run() -> None:
        execution = Execution(main_task(definition, 1), definition, all_workflows, limits=UNLIMITED)
        execution.apply([started(definition, width)], NOW)
        execution.close()

    return microseconds(run, width)


def answered(width: int) -> float:
    """One activity of many that are issued at once, and answered one by one."""
    results = [[completed(number)] for number in range(1, width + 1)]

    def run() -> None:
        execution = Execution(main_task(fan_out, 1), fan_out, all_workflows, limits=UNLIMITED)
        execution.apply([started(fan_out, width)], NOW)
        for result in results:
            execution.apply(result, NOW)
        assert execution.is_closed

    return microseconds(run, width)


def replay_milliseconds(events: int) -> float:
    """A history of steps in a row, decoded already."""
    count = (events - 2) // 2
    execution = Execution(main_task(steps_in_a_row, 1), steps_in_a_row, app, limits=UNLIMITED)
    history = list(execution.apply([started(steps_in_a_row, count)], NOW).events)
    for number in range(1, count + 1):
        history += execution.apply([completed(number)], NOW).events
    history = decode_events(encode_events(history))

    def run() -> None:
        again = Execution(main_task(steps_in_a_row, 1), steps_in_a_row, app, limits=UNLIMITED)
        again.replay(history)
        assert again.is_closed

    return microseconds(run, 1) / 1000


def bytes_per_waiting(count: int) -> float:
    """Resident memory of an execution that waits for a signal, with its task and start."""
    gc.collect()
    before = _resident()
    kept = []
    for number in range(count):
        execution = Execution(main_task(waits, number), waits, all_workflows)
        execution.apply([started(waits)], NOW)
        kept.append(execution)
    size = (_resident() - before) / count
    for execution in kept:
        execution.close()
    return size


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@click.command()
@click.option("--count", default=20_000, show_default=True, help="Executions.")
def main(count: int) -> None:
    """Print what the engine costs."""
    click.echo(f"{bytes_per_waiting(count):10,.0f} bytes for an execution that waits for a signal")
    click.echo(f"{workflows_of_one_activity(count):10.1f} us for a workflow of one activity")
    with rare_collections():
        click.echo(f"{workflows_of_one_activity(count):10.1f} us with rare collections")
        click.echo(f"{payloads_and_events(count):10.1f} us for the payloads and events around it")
        click.echo(f"{steps(count):10.1f} us for a step of many in a row")
        for width in (1_000, 10_000):
            click.echo(f"{in_one_drain(fan_out, width):10.1f} us for an activity of {width:,} issued at once")
            click.echo(f"{answered(width):10.1f} us for one of {width:,} issued at once, with its answer")
            click.echo(f"{in_one_drain(children, width):10.1f} us for a sub-workflow of {width:,} issued at once")
        click.echo(f"{replay_milliseconds(10_000):10.1f} ms to replay 10,000 events")


if __name__ == "__main__":
    main()
