"""Workflows whose names, activities, errors and payloads are hostile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from perdure.activities.definition import activity
from perdure.app import App
from perdure.client.client import Client
from perdure.errors import ActivityError
from perdure.model.retry import NO_RETRY
from perdure.model.schedule import LONGEST_ID, Schedule
from perdure.orchestrator import Orchestrator
from perdure.serialization.codecs import Encryption
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from perdure.workflows.signal import Signal
from tests.diagnostics.hostile.texts import BYTES, TEXTS
from tests.worker.support import until_async


class Stranger:
    """A codec whose payloads turn out to be anything, as if somebody else had written them."""

    name = "stranger"

    def encode(self, data: bytes) -> bytes:
        found = [name for name in BYTES if data in (f'["{name}"]'.encode(), f'"{name}"'.encode())]
        return found[0].encode() if found else data

    def decode(self, data: bytes) -> bytes:
        return BYTES[data.decode()]


def _workflow(text: str) -> Workflow[[str], str]:
    trouble: Any = type(text, (Exception,), {"__module__": text, "__qualname__": text})

    @activity(name=text, retry=NO_RETRY, queue=text)
    async def act(value: str) -> str:
        raise trouble(value)

    def side_effect() -> str:
        return text

    side_effect.__name__ = side_effect.__qualname__ = text

    @workflow(name=text)
    async def flow(ctx: Context, value: str) -> str:
        ctx.publish(text, text)
        ctx.patched(text)
        await ctx.side_effect(side_effect)
        try:
            await ctx.execute_activity(act, value)
        except ActivityError:
            await ctx.signal_channel(Signal(text, str)).receive()
        raise trouble(text)

    _ACTIVITIES[text] = act
    return flow


_ACTIVITIES: dict[str, Any] = {}
FLOWS = {name: _workflow(text) for name, text in TEXTS.items()}


@workflow
async def stores(ctx: Context, name: str) -> str:
    return name


@workflow
async def receives(ctx: Context) -> str:
    return await ctx.signal_channel(anything).receive()


anything = Signal("anything", str)
app = App(workflows=[*FLOWS.values(), stores, receives], activities=list(_ACTIVITIES.values()), codecs=[Stranger()])
secretive = App(workflows=[stores], codecs=[Encryption({"2026": bytes(32)}, "2026")])


def ended(name: str) -> str:
    """The id of the one that has failed."""
    return f"ended-{name}"


async def fill(url: str, names: Iterable[str] = TEXTS) -> None:
    """For each text an instance of this id that waits, one that has failed, and a schedule; and payloads that nobody can read."""
    texts = {name: TEXTS[name] for name in names}
    async with Orchestrator(url, app, queues=["default", *texts.values()], name="<b>worker\u202e") as perdure:
        await asyncio.gather(*(_start(perdure, name, text) for name, text in texts.items()))
        for name in BYTES:
            await perdure.start(stores.with_options(instance_id=f"bytes {name}"), name)
            await until_async(lambda each=name: _is_stuck(perdure, f"bytes {each}"))  # type: ignore[misc]
            handle = await perdure.start(receives.with_options(instance_id=f"signal {name}"))
            await handle.signal(anything, name)
            await handle.wait()
    async with Orchestrator(url, secretive) as perdure:
        await perdure.run(stores.with_options(instance_id="bytes closed"), "secret")


async def _start(perdure: Orchestrator, name: str, text: str) -> None:
    flow = FLOWS[name].with_options(queue=text, tags={text[:100]: text})
    await perdure.start(flow.with_options(instance_id=text), text)
    await perdure.start(flow.with_options(instance_id=ended(name)), text)
    await perdure.signal(ended(name), Signal(text, str), text)
    await perdure.wait(ended(name))
    await until_async(lambda: _has_failed_once(perdure, text))
    await perdure.queues.set_limits(text, at_once=1)  # so the queue is shown, though nothing waits in it
    if len(text.encode()) <= LONGEST_ID:
        await perdure.schedule(Schedule(text, cron="@yearly"), FLOWS[name], text)


async def _has_failed_once(client: Client, instance_id: str) -> bool:
    return "ActivityFailed" in [type(each.event).__name__ async for each in client.history(instance_id)]


async def _is_stuck(client: Client, instance_id: str) -> bool:
    return (await client.info(instance_id)).stuck is not None
