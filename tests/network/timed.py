"""Workflows that take a known time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from perdure.activities.context import activity_context
from perdure.activities.definition import activity
from perdure.app import App
from perdure.model.retry import RetryPolicy
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow


@activity(retry=RetryPolicy(initial_interval=timedelta(milliseconds=50)))
async def attempt(number: int) -> int:
    await asyncio.sleep(0.05)
    if number % 2 and activity_context().attempt == 1:
        raise ValueError("once more")
    return activity_context().attempt


@workflow
async def steps(ctx: Context, number: int) -> list[float]:
    """How often each attempt was made, and how long it took altogether by the workflow's clock."""
    began = ctx.now()
    attempts = 0
    for _ in range(3):
        attempts += await ctx.execute_activity(attempt, number)
        await ctx.sleep(0.2)
    return [attempts, (ctx.now() - began).total_seconds()]


app = App(workflows=[steps], activities=[attempt])
