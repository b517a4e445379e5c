"""The workflows that are timed."""

from __future__ import annotations

from perdure import App, Context, activity, workflow


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


app = App(workflows=[one_activity, steps_in_a_row], activities=[double])
