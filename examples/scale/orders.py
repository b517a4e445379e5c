"""What the workers run. Each step tells who did it."""

import os
import platform

from perdure import App, Context, activity, workflow


def worker() -> str:
    return f"{platform.node()}:{os.getpid()}"


@activity
async def reserve(number: int) -> str:
    return worker()


@activity
async def charge(number: int) -> str:
    return worker()


@workflow
async def order(ctx: Context, number: int) -> list[str]:
    return [await ctx.execute_activity(reserve, number), await ctx.execute_activity(charge, number)]


app = App(workflows=[order], activities=[reserve, charge])
