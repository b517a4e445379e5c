"""The App that the server's process loads: it prints where it must not disturb."""

from __future__ import annotations

from perdure.app import App
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.diagnostics.actions.support import WORKFLOWS, Bank, approval

print("hello from the import")


@workflow
async def talkative(ctx: Context) -> str:
    print("hello from the workflow")
    return await ctx.signal_channel(approval).receive()


@workflow
async def long_running(ctx: Context, steps: int) -> None:
    for place in range(steps):
        ctx.publish("stage", f"{place} {'x' * 500}")
        await ctx.execute_activity(Bank.charge, f"{place} {'y' * 2000}")


bank = Bank()
app = App(workflows=[*WORKFLOWS, talkative, long_running], activities=[bank])
