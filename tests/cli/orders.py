"""The App that the command line's tests name."""

from __future__ import annotations

import asyncio
import time

from perdure.activities.definition import activity
from perdure.app import App
from perdure.model.retry import NO_RETRY
from perdure.serialization.codecs import Compression, Encryption
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal

go = Signal("go")


@activity(retry=NO_RETRY)
async def shout(text: str) -> str:
    return text.upper()


@activity
async def wait_for_ever() -> None:
    await asyncio.Event().wait()


@workflow
async def echo(ctx: Context, text: str) -> str:
    return await ctx.execute_activity(shout, text)


@workflow
async def waiting(ctx: Context) -> None:
    await ctx.signal_channel(go).receive()


@workflow
async def failing(ctx: Context) -> None:
    raise ValueError("no \x1b[31mred\x1b[0m text")


@workflow
async def watching(ctx: Context) -> float:
    return time.time()


class Holder:
    app = App(workflows=[echo])


app = App(
    workflows=[echo, waiting, failing, watching],
    activities=[shout, wait_for_ever],
    codecs=[Compression(threshold_bytes=64)],
)
secretive = App(workflows=[echo], activities=[shout], codecs=[Encryption({"2026": bytes(32)}, "2026")])
no_app = 3
