"""The workflows that several cases time."""

from __future__ import annotations

from perdure import App, Context, Signal, activity, workflow

go_on = Signal("go_on", int)


@activity
async def double(x: int) -> int:
    """The smallest activity that shows its work."""
    return x * 2


@workflow
async def one_activity(ctx: Context, x: int) -> int:
    """One activity, then the end."""
    return await ctx.execute_activity(double, x) + 1


@workflow
async def steps_in_a_row(ctx: Context, steps: int) -> int:
    """One activity after the other."""
    total = 0
    for step in range(steps):
        total += await ctx.execute_activity(double, step)
    return total


@workflow
async def wait_for_signal(ctx: Context, x: int) -> int:
    """Nothing, until somebody says so."""
    return x + await ctx.signal_channel(go_on).receive()


ONE_ACTIVITY_EVENTS = ("ExecutionStarted", "ActivityScheduled", "ActivityCompleted", "ExecutionCompleted")
WAIT_EVENTS = ("ExecutionStarted", "SignalReceived", "ExecutionCompleted")


def events_in_a_row(steps: int) -> tuple[str, ...]:
    """The history of `steps_in_a_row`."""
    return ("ExecutionStarted", *("ActivityScheduled", "ActivityCompleted") * steps, "ExecutionCompleted")


app = App(workflows=[one_activity, steps_in_a_row, wait_for_signal], activities=[double])
