"""Wherever a worker crashes, no span is exported twice."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from perdure import App, Context, Signal, activity, workflow
from perdure.testing import WorkflowTester, crash_anywhere
from tests.otel.spans import Spans, id_of

go = Signal("go", str)


@activity(idempotent=True)
async def pack(item: str) -> str:
    return item


@workflow
async def ship(ctx: Context, item: str) -> str:
    return await ctx.execute_activity(pack, item)


async def test_no_crash_has_a_span_exported_twice() -> None:
    spans = Spans()

    @workflow
    async def order(ctx: Context) -> str:
        with spans.tracer.start_as_current_span("get it ready"):
            await ctx.execute_activity(pack, "a cup")
            await ctx.sleep(timedelta(hours=1))
            await ctx.signal_channel(go).receive()
        return await ctx.execute_sub_workflow(ship, "a cup")

    async def scenario(tester: WorkflowTester) -> str:
        spans.forget()
        handle = await tester.start(order.with_options(instance_id="order"))
        await handle.signal(go, "on")
        result = await handle.result()
        ids = Counter(id_of(span) for span in spans.all)
        assert max(ids.values()) == 1
        return result

    app = App(workflows=[order, ship], activities=[pack], telemetry=spans.telemetry)
    await crash_anywhere(app, scenario, processes=0)
