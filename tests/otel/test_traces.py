"""Spans of each kind, their parents, and that none is exported twice; with executions in memory and replayed each time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as current_context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from perdure import (
    App,
    Client,
    ConfigurationError,
    Context,
    Orchestrator,
    RegistrationError,
    RetryPolicy,
    Schedule,
    Signal,
    SyncOrchestrator,
    Worker,
    WorkflowFailed,
    activity,
    activity_context,
    workflow,
)
from perdure.otel import OpenTelemetry, current_ids, get_tracer
from perdure.testing import WorkflowTester
from perdure.worker.options import DEFAULT_CACHE_SIZE
from tests.otel.spans import Spans, id_of, trace_of

SOON = timedelta(milliseconds=5)
paid = Signal("paid", int)
shipped = Signal("shipped", str)


@activity(retry=RetryPolicy(initial_interval=timedelta(milliseconds=1)))
async def reserve(item: str) -> None:
    if activity_context().attempt == 1:
        raise ConnectionError("the stock doesn't answer")


@activity
def pack(item: str) -> str:
    return item


@workflow
async def ship(ctx: Context, item: str, customer: str) -> None:
    await ctx.execute_activity(pack, item)
    await ctx.signal_workflow(customer, shipped, item)


@pytest.fixture(params=["in memory", "replayed"])
def cache_size(request: pytest.FixtureRequest) -> int:
    return DEFAULT_CACHE_SIZE if request.param == "in memory" else 0


async def test_spans_of_each_kind_make_one_tree(spans: Spans, cache_size: int) -> None:
    def draw() -> int:
        return 1

    @workflow
    async def order(ctx: Context, item: str) -> int:
        cents = await ctx.signal_channel(paid).receive()
        with spans.tracer.start_as_current_span("get it ready", attributes={"item": item}):
            await ctx.execute_activity(reserve, item)
            await ctx.sleep(SOON)
        await ctx.side_effect(draw)
        await ctx.execute_sub_workflow(ship, item, ctx.info.instance_id)
        assert await ctx.signal_channel(shipped).receive() == item
        return cents

    app = App(workflows=[order, ship], activities=[reserve, pack], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app, cache_size=cache_size) as perdure:
        with spans.tracer.start_as_current_span("web request"):
            handle = await perdure.start(order, "a cup")
            await handle.signal(paid, 3)
        await handle.result()

    assert spans.tree().splitlines() == [
        "web request",
        "  start order",
        "    workflow order",
        "      receive paid",
        "      get it ready",
        "        activity reserve",
        "        activity reserve",
        "        timer",
        "      side effect draw",
        "      receive shipped",
        "      sub-workflow ship",
        "        workflow ship",
        "          activity pack",
        "          signal shipped",
        "  signal paid",
    ]
    spans.check_each_is_there_once()
    assert len({trace_of(span) for span in spans.all}) == 1


async def test_spans_say_what_they_are_about(spans: Spans) -> None:
    @workflow
    async def order(ctx: Context) -> str:
        with spans.tracer.start_as_current_span("try", attributes={"tries": 1}) as span:
            await ctx.execute_activity(reserve, "a cup")
            span.add_event("reserved")
            span.set_attribute("tries", 2)
        trace.get_current_span().set_attribute("customer", "c-1")  # the workflow's own span
        await ctx.sleep(SOON)
        return "done"

    async with Orchestrator("memory://", App(workflows=[order], activities=[reserve], telemetry=spans.telemetry)) as it:
        await it.run(order.with_options(instance_id="order-7"))

    own, start, whole = spans.one("try"), spans.one("start order"), spans.one("workflow order")
    assert own.attributes == {"tries": 2}
    assert [event.name for event in own.events] == ["reserved"]
    assert own.instrumentation_scope is not None
    assert own.instrumentation_scope.name == "shop"
    assert whole.attributes is not None
    assert whole.attributes["customer"] == "c-1"
    assert whole.attributes["perdure.instance.id"] == "order-7"
    assert whole.attributes["perdure.state"] == "completed"
    assert (start.kind, whole.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert start.attributes is not None
    assert start.attributes["perdure.execution.id"] == whole.attributes["perdure.execution.id"]
    timer = spans.one("timer")
    assert (timer.end_time or 0) - (timer.start_time or 0) >= 5_000_000
    first, second = spans.named("activity reserve")
    assert (first.status.status_code, second.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert first.attributes is not None
    assert (first.attributes["perdure.outcome"], first.attributes["error.type"]) == ("retried", "ConnectionError")
    assert [event.name for event in first.events] == ["exception"]


async def test_what_fails_is_marked_as_failed(spans: Spans, cache_size: int) -> None:
    @workflow
    async def ship_nothing(ctx: Context) -> None:
        raise ValueError("no box is large enough")

    @workflow
    async def order(ctx: Context) -> None:
        with pytest.raises(ValueError, match="no box"):
            await ctx.execute_sub_workflow(ship_nothing)
        with spans.tracer.start_as_current_span("apologise"):
            raise LookupError("no address")

    app = App(workflows=[order, ship_nothing], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app, cache_size=cache_size) as perdure:
        with pytest.raises(WorkflowFailed):
            await perdure.run(order)

    failed = {span.name: span.status.description for span in spans.all if span.status.status_code is StatusCode.ERROR}
    assert failed == {
        "workflow ship_nothing": "ValueError: no box is large enough",
        "sub-workflow ship_nothing": "ValueError: no box is large enough",
        "apologise": "LookupError: no address",
        "workflow order": "LookupError: no address",
    }
    spans.check_each_is_there_once()


async def test_tries_of_a_sub_workflow_are_spans_and_have_theirs_below(spans: Spans, cache_size: int) -> None:
    @workflow
    async def ship_once(ctx: Context) -> None:
        raise ConnectionError("no van")

    again = RetryPolicy(max_attempts=2, initial_interval=timedelta(milliseconds=1))

    @workflow
    async def order(ctx: Context) -> None:
        with spans.tracer.start_as_current_span("send"), pytest.raises(ConnectionError):
            await ctx.execute_sub_workflow(ship_once.with_options(retry=again))

    app = App(workflows=[order, ship_once], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app, cache_size=cache_size) as perdure:
        await perdure.run(order)

    one = ["      sub-workflow ship_once", "        workflow ship_once"]
    assert spans.tree().splitlines()[2:] == ["    send", *one, "      timer", *one]
    spans.check_each_is_there_once()


async def test_executions_of_a_chain_have_the_same_parent(spans: Spans, cache_size: int) -> None:
    @workflow
    async def poll(ctx: Context, left: int) -> None:
        with spans.tracer.start_as_current_span("round"):
            await ctx.execute_activity(pack, "x")
            if left:
                ctx.continue_as_new(poll, left - 1)

    app = App(workflows=[poll], activities=[pack], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app, cache_size=cache_size) as perdure:
        await perdure.run(poll, 2)

    one = ["  workflow poll", "    round", "      activity pack"]
    assert spans.tree().splitlines() == ["start poll", *one, *one, *one]
    spans.check_each_is_there_once()
    attributes = [span.attributes or {} for span in spans.named("workflow poll")]
    assert [each["perdure.state"] for each in attributes] == ["continued_as_new"] * 2 + ["completed"]
    following = [each["perdure.execution.id"] for each in attributes[1:]]
    assert [each["perdure.next_execution.id"] for each in attributes[:2]] == following


async def test_a_cancelled_workflow_ends_its_spans(spans: Spans, cache_size: int) -> None:
    @workflow
    async def wait(ctx: Context) -> None:
        with spans.tracer.start_as_current_span("wait for money"):
            await ctx.signal_channel(paid).receive()

    async with Orchestrator(
        "memory://", App(workflows=[wait], telemetry=spans.telemetry), cache_size=cache_size
    ) as perdure:
        handle = await perdure.start(wait)
        await handle.cancel("no money")
        await handle.wait()

    assert spans.tree().splitlines() == ["start wait", "  workflow wait", "    wait for money"]
    whole = spans.one("workflow wait")
    assert [(event.name, dict(event.attributes or {})) for event in whole.events] == [
        ("cancel requested", {"perdure.reason": "no money"})
    ]
    assert (whole.attributes or {})["perdure.state"] == "cancelled"


async def test_what_is_open_at_the_end_ends_with_the_workflow_but_for_timers(spans: Spans, cache_size: int) -> None:
    @workflow
    async def endless(ctx: Context) -> None:
        await ctx.sleep(timedelta(days=1))

    @workflow
    async def hasty(ctx: Context) -> None:
        async def aside() -> None:
            with spans.tracer.start_as_current_span("aside"):
                await ctx.sleep(timedelta(days=1))

        left = asyncio.create_task(aside())
        child = ctx.execute_sub_workflow(endless)
        await ctx.sleep(SOON)
        assert not left.done()
        assert not child.done()

    app = App(workflows=[hasty, endless], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app, cache_size=cache_size) as perdure:
        handle = await perdure.start(hasty)
        await handle.result()
        [child] = [each async for each in perdure.list(workflow="endless")]
        await perdure.wait(child.instance_id)

    assert sorted(spans.tree().splitlines()) == sorted(
        [
            "start hasty",
            "  workflow hasty",
            "    timer",
            "    aside",
            "    sub-workflow endless",
            "      workflow endless",
        ]
    )
    assert (spans.one("aside").attributes or {})["perdure.abandoned"]


async def test_tasks_of_a_workflow_have_current_spans_of_their_own(spans: Spans, cache_size: int) -> None:
    @workflow
    async def order(ctx: Context) -> None:
        async def part(name: str) -> None:
            with spans.tracer.start_as_current_span(name):
                await ctx.execute_activity(pack, name)
                await ctx.execute_activity(pack, name)

        async with asyncio.TaskGroup() as group:
            for name in ("cup", "tea"):
                group.create_task(part(name))

    app = App(workflows=[order], activities=[pack], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app, cache_size=cache_size) as perdure:
        await perdure.run(order)

    both = ["      activity pack"] * 2
    assert sorted(spans.tree().splitlines()[2:]) == sorted(["    cup", *both, "    tea", *both])
    spans.check_each_is_there_once()
    for span in spans.named("activity pack"):
        assert span.parent is not None


class Basket:
    def __init__(self, spans: Spans) -> None:
        self.items: list[str] = []
        self._spans = spans

    def count(self) -> int:
        with self._spans.tracer.start_as_current_span("counting"):
            return len(self.items)

    async def add(self, item: str) -> None:
        with self._spans.tracer.start_as_current_span("adding"):
            self.items.append(item)


async def test_an_update_is_a_span_and_a_query_is_none(spans: Spans, cache_size: int) -> None:
    @workflow
    async def shopping(ctx: Context) -> None:
        basket = Basket(spans)
        ctx.on_query(basket.count)
        ctx.on_update(basket.add)
        await ctx.wait_until(lambda: len(basket.items) == 2)
        with spans.tracer.start_as_current_span("paying"):
            await ctx.sleep(SOON)

    async with Orchestrator(
        "memory://", App(workflows=[shopping], telemetry=spans.telemetry), cache_size=cache_size
    ) as perdure:
        handle = await perdure.start(shopping)
        await handle.update(Basket.add, "pen")
        assert await handle.query(Basket.count) == 1
        await handle.update(Basket.add, "ink")
        await handle.result()

    below = ["    adding", "    update add"]
    assert sorted(spans.tree().splitlines()) == sorted(
        ["start shopping", "  workflow shopping", *below, *below, "    paying", "      timer"]
    )
    spans.check_each_is_there_once()


async def test_an_activity_by_itself_is_traced_under_its_name(spans: Spans) -> None:
    async with Orchestrator("memory://", App(activities=[pack], telemetry=spans.telemetry)) as perdure:
        await (await perdure.start_activity(pack, "cup")).result()

    assert spans.tree().splitlines() == ["start pack", "  workflow perdure:activity", "    activity pack"]


async def test_a_fork_is_a_span_of_its_own_beside_the_one_it_was(spans: Spans) -> None:
    @workflow
    async def order(ctx: Context) -> None:
        with spans.tracer.start_as_current_span("round"):
            await ctx.execute_activity(pack, "cup")
            await ctx.sleep(SOON)

    app = App(workflows=[order], activities=[pack], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app) as perdure:
        handle = await perdure.start(order)
        await handle.result()
        fork = await perdure.fork(handle.instance_id, at_event=1)
        await fork.result()

    whole = spans.named("workflow order")
    assert [(span.attributes or {})["perdure.instance.id"] for span in whole] == [handle.instance_id, fork.instance_id]
    assert len({id_of(span) for span in whole}) == 2
    assert {span.parent.span_id for span in whole if span.parent} == {id_of(spans.one("start order"))}
    assert len({id_of(span) for span in spans.named("timer")}) == 2


async def test_on_every_store_signals_lead_to_who_sent_them(spans: Spans, store_url: str) -> None:
    @workflow
    async def order(ctx: Context) -> int:
        await ctx.execute_activity(pack, "cup")
        return await ctx.signal_channel(paid).receive()

    app = App(workflows=[order], activities=[pack], telemetry=spans.telemetry)
    async with Client(store_url, telemetry=spans.telemetry) as client, Worker(store_url, app, cache_size=0):
        handle = await client.start(order)
        await handle.signal(paid, 3)
        assert await handle.result() == 3

    assert sorted(spans.tree().splitlines()) == sorted(
        ["start order", "  workflow order", "    activity pack", "    receive paid", "signal paid"]
    )
    [link] = spans.one("receive paid").links
    assert link.context.span_id == id_of(spans.one("signal paid"))


# --- beginnings


async def test_a_client_without_an_app_traces_what_it_starts(spans: Spans) -> None:
    @workflow
    async def order(ctx: Context) -> str | None:
        ids = current_ids()
        return None if ids is None else ids[0]

    async with Orchestrator("memory://", App(workflows=[order], telemetry=spans.telemetry)) as perdure:
        async with Client(perdure.backend, telemetry=spans.telemetry) as client:
            trace_id = await client.run(order)

    assert spans.tree().splitlines() == ["start order", "  workflow order"]
    assert trace_id == trace.format_trace_id(trace_of(spans.one("start order")))


async def test_what_was_started_without_a_trace_begins_one(spans: Spans, cache_size: int) -> None:
    @workflow
    async def order(ctx: Context) -> None:
        await ctx.execute_activity(pack, "cup")
        await ctx.execute_sub_workflow(part)

    @workflow
    async def part(ctx: Context) -> None:
        await ctx.sleep(SOON)

    app = App(workflows=[order, part], activities=[pack], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app, cache_size=cache_size) as perdure:
        async with Client(perdure.backend) as client:
            await client.run(order)

    assert spans.tree().splitlines() == [
        "workflow order",
        "  activity pack",
        "  sub-workflow part",
        "    workflow part",
        "      timer",
    ]


async def test_each_run_of_a_schedule_is_a_trace(spans: Spans) -> None:
    @workflow
    async def nightly(ctx: Context) -> None:
        await ctx.sleep(timedelta(minutes=1))

    app = App(workflows=[nightly], telemetry=spans.telemetry)
    async with WorkflowTester(app) as tester:
        plan = Schedule("nightly", every=timedelta(hours=24))
        with spans.tracer.start_as_current_span("deploy"):
            schedule = await tester.schedule(plan, nightly)
        await tester.advance(timedelta(hours=50))
        await schedule.delete()

    runs = spans.named("workflow nightly")
    assert len(runs) == 2
    started = ["deploy", "  start perdure:schedule"]
    assert sorted(spans.tree().splitlines()) == sorted([*started, *["workflow nightly", "  timer"] * 2])
    assert len({trace_of(span) for span in runs}) == 2


def test_the_callers_span_is_the_parent_without_an_event_loop_too(spans: Spans) -> None:
    @workflow
    async def order(ctx: Context) -> None: ...

    app = App(workflows=[order], telemetry=spans.telemetry)
    with SyncOrchestrator("memory://", app) as perdure, spans.tracer.start_as_current_span("view"):
        perdure.run(order)

    assert spans.tree().splitlines() == ["view", "  start order", "    workflow order"]


async def test_spans_of_the_workers_own_program_are_no_parents(spans: Spans) -> None:
    @workflow
    async def order(ctx: Context) -> None:
        await ctx.execute_activity(pack, "cup")

    app = App(workflows=[order], activities=[pack], telemetry=spans.telemetry)
    with spans.tracer.start_as_current_span("main"):
        async with Orchestrator("memory://", app) as perdure:
            context = current_context.attach(current_context.Context())
            await perdure.run(order)
            current_context.detach(context)

    assert spans.tree().splitlines() == ["start order", "  workflow order", "    activity pack", "main"]


async def test_baggage_goes_along(spans: Spans) -> None:
    @activity
    async def look() -> object:
        return baggage.get_baggage("tenant")

    @workflow
    async def order(ctx: Context) -> list[object]:
        return [baggage.get_baggage("tenant"), await ctx.execute_activity(look)]

    async with Orchestrator("memory://", App(workflows=[order], activities=[look], telemetry=spans.telemetry)) as it:
        token = current_context.attach(baggage.set_baggage("tenant", "acme"))
        assert await it.run(order) == ["acme", "acme"]
        current_context.detach(token)


async def test_the_guard_has_nothing_against_it(spans: Spans, cache_size: int) -> None:
    @workflow
    async def order(ctx: Context) -> None:
        with spans.tracer.start_as_current_span("own"):
            await ctx.execute_activity(pack, "cup")
            await ctx.sleep(SOON)

    app = App(workflows=[order], activities=[pack], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app, cache_size=cache_size, guard="raise") as perdure:
        await perdure.run(order)

    assert spans.tree().splitlines() == [
        "start order",
        "  workflow order",
        "    own",
        "      activity pack",
        "      timer",
    ]


# --- sampling and processors


async def test_what_a_sampler_drops_is_dropped_with_all_below(cache_size: int) -> None:
    @workflow
    async def order(ctx: Context) -> None:
        with spans.tracer.start_as_current_span("own") as own:
            assert not own.is_recording()
            await ctx.execute_activity(pack, "cup")
            await ctx.sleep(SOON)

    spans = Spans(ParentBased(ALWAYS_OFF))
    app = App(workflows=[order], activities=[pack], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app, cache_size=cache_size) as perdure:
        await perdure.run(order)

    assert spans.all == ()


@pytest.mark.parametrize("has_trace", [True, False], ids=["started in a trace", "started without"])
async def test_a_trace_is_sampled_as_a_whole(cache_size: int, has_trace: bool) -> None:
    @workflow
    async def order(ctx: Context) -> None:
        await ctx.execute_activity(pack, "cup")
        with spans.tracer.start_as_current_span("own"):
            await ctx.sleep(SOON)

    spans = Spans(ParentBased(TraceIdRatioBased(0.5)))
    app = App(workflows=[order], activities=[pack], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app, cache_size=cache_size) as perdure:
        async with Client(perdure.backend, telemetry=spans.telemetry if has_trace else None) as client:
            await asyncio.gather(*(client.run(order) for _ in range(40)))

    whole = 4 + has_trace
    assert 0 < len(spans.all) < 40 * whole
    assert len(spans.all) == whole * len({trace_of(span) for span in spans.all})
    spans.check_each_is_there_once()


async def test_spans_go_through_a_batch_processor() -> None:
    @workflow
    async def order(ctx: Context) -> None:
        await ctx.sleep(SOON)

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    async with Orchestrator(
        "memory://", App(workflows=[order], telemetry=OpenTelemetry(tracer_provider=provider))
    ) as perdure:
        await perdure.run(order)
    provider.force_flush()
    provider.shutdown()

    assert {span.name for span in exporter.get_finished_spans()} == {"start order", "workflow order", "timer"}


class Broken(SpanProcessor):
    def on_start(self, span: Span, parent_context: object = None) -> None:
        if span.name in ("start order", "workflow order", "activity pack"):
            raise RuntimeError("the collector is on fire")

    def on_end(self, span: ReadableSpan) -> None:
        if span.name == "activity reserve":
            raise RuntimeError("the collector is on fire")


class BrokenSampler(Sampler):
    def should_sample(self, *args: object, **kwargs: object) -> SamplingResult:
        raise RuntimeError("no idea")

    def get_description(self) -> str:
        return "broken"


@pytest.mark.parametrize("sampler", [None, BrokenSampler()], ids=["processor", "sampler"])
async def test_workflows_go_on_whatever_processors_and_samplers_do(
    sampler: Sampler | None, caplog: pytest.LogCaptureFixture
) -> None:
    @workflow
    async def order(ctx: Context) -> str:
        await ctx.execute_activity(reserve, "cup")
        return await ctx.execute_activity(pack, "cup")

    spans = Spans(sampler)
    spans.provider.add_span_processor(Broken())
    app = App(workflows=[order], activities=[reserve, pack], telemetry=spans.telemetry)
    async with Orchestrator("memory://", app) as perdure:
        assert await perdure.run(order) == "cup"

    failures = [record for record in caplog.records if record.name == "perdure.otel"]
    assert len(failures) >= 5
    assert {record.levelno for record in failures} == {logging.ERROR}


def test_what_isnt_the_sdks_provider_is_refused() -> None:
    class Other(trace.TracerProvider):
        def get_tracer(self, *args: object, **kwargs: object) -> trace.Tracer:
            return trace.NoOpTracer()

    with pytest.raises(ConfigurationError, match="Other isn't the TracerProvider of OpenTelemetry's SDK"):
        OpenTelemetry(tracer_provider=Other())


def test_an_app_has_one_way_to_carry_traces(spans: Spans) -> None:
    class W3C:
        fields = ("traceparent",)

        def inject(self) -> Mapping[str, str]:
            return {}

        def extract(self, headers: Mapping[str, str]) -> None: ...

    with pytest.raises(RegistrationError, match="two propagators write the header 'traceparent'"):
        App(propagators=[W3C()], telemetry=spans.telemetry)
    with pytest.raises(ConfigurationError, match=r"App\(telemetry=…\)"):
        Client("memory://", App(), telemetry=spans.telemetry)


async def test_without_the_sdk_headers_go_on_and_nothing_is_exported() -> None:
    @workflow
    async def order(ctx: Context) -> tuple[str, str] | None:
        return current_ids()

    telemetry = OpenTelemetry(tracer_provider=trace.NoOpTracerProvider())
    remote = trace.SpanContext(0xABC, 0xDEF, True, trace.TraceFlags(1))
    async with Orchestrator("memory://", App(workflows=[order], telemetry=telemetry)) as perdure:
        with trace.use_span(trace.NonRecordingSpan(remote)):
            found = await perdure.run(order)

    assert found is not None
    assert found[0] == trace.format_trace_id(0xABC)


def test_outside_of_workflows_the_tracer_is_the_providers_own(spans: Spans) -> None:
    assert current_ids() is None
    with get_tracer("shop", "1.0", tracer_provider=spans.provider).start_as_current_span("request") as span:
        assert span.is_recording()
        assert current_ids() is not None

    assert id_of(spans.one("request")) == span.get_span_context().span_id
