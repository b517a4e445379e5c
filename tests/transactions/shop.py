"""The workflows that these tests start."""

from __future__ import annotations

from perdure.app import App
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal

approval = Signal("approval", str)


@workflow
async def hello(ctx: Context, name: str) -> str:
    return f"hello {name}"


@workflow
async def checkout(ctx: Context, approvals: int) -> list[str]:
    """Who approved, in order."""
    channel = ctx.signal_channel(approval)
    return [await channel.receive() for _ in range(approvals)]


app = App(workflows=[hello, checkout])
