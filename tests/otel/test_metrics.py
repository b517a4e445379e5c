"""What is counted and measured, by OpenTelemetry's own reader."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader

from perdure import App, Client, Context, Orchestrator, RetryPolicy, Signal, Worker, WorkflowFailed, activity, workflow
from perdure.activities.context import activity_context
from perdure.otel import OpenTelemetry
from tests.worker.support import until, until_async

go = Signal("go", str)


@activity(retry=RetryPolicy(initial_interval=timedelta(milliseconds=1)))
async def charge() -> None:
    if activity_context().attempt == 1:
        raise ConnectionError("the bank doesn't answer")


@activity(queue="unserved")
async def unserved() -> None: ...


@workflow
async def order(ctx: Context) -> None:
    await ctx.execute_activity(charge)


@workflow
async def refused(ctx: Context) -> None:
    await ctx.sleep(timedelta(milliseconds=1))
    raise ValueError("no")


@workflow
async def counted(ctx: Context, left: int) -> None:
    if left:
        ctx.continue_as_new(counted, left - 1)


@workflow
async def waiting(ctx: Context) -> None:
    await ctx.signal_channel(go).receive()


@workflow
async def lost(ctx: Context) -> None:
    await ctx.execute_activity(unserved)


class Metrics:
    """A provider of its own, and what it has measured."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider([self._reader], shutdown_on_exit=False)
        self.telemetry = OpenTelemetry(meter_provider=self._provider, look_every=timedelta(milliseconds=1))
        self.app = App(
            workflows=[order, refused, counted, waiting, lost],
            activities=[charge, unserved],
            telemetry=self.telemetry,
        )

    def points(self, name: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        metrics = (
            metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]

    def __getitem__(self, name: str) -> dict[tuple[Any, ...], float]:
        """Values by those of the attributes, in the order of their names; of a histogram the counts."""
        return {
            tuple(point.attributes[key] for key in sorted(point.attributes)): (
                point.count if isinstance(point, HistogramDataPoint) else point.value
            )
            for point in self.points(name)
        }

    def close(self) -> None:
        self._provider.shutdown()


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    made = Metrics()
    yield made
    made.close()


async def test_instances_are_counted_when_they_begin_and_by_how_they_end(metrics: Metrics) -> None:
    async with Orchestrator("memory://", metrics.app) as perdure:
        await asyncio.gather(*(perdure.run(order) for _ in range(3)))
        await perdure.run(counted, 2)
        with pytest.raises(WorkflowFailed):
            await perdure.run(refused)

    assert metrics["perdure.workflow.started"] == {
        ("default", "order"): 3,
        ("default", "counted"): 1,
        ("default", "refused"): 1,
    }
    assert metrics["perdure.workflow.finished"] == {
        ("default", "completed", "order"): 3,
        ("default", "continued_as_new", "counted"): 2,
        ("default", "completed", "counted"): 1,
        ("default", "failed", "refused"): 1,
    }
    assert metrics["perdure.workflow.duration"] == {
        ("completed", "order"): 3,
        ("continued_as_new", "counted"): 2,
        ("completed", "counted"): 1,
        ("failed", "refused"): 1,
    }
    [refusal] = [
        point for point in metrics.points("perdure.workflow.duration") if point.attributes["perdure.state"] == "failed"
    ]
    assert refusal.sum >= 0.001


async def test_attempts_are_counted_by_their_outcome(metrics: Metrics) -> None:
    async with Orchestrator("memory://", metrics.app) as perdure:
        await perdure.run(order)

    both = {("charge", "retried", "default"): 1, ("charge", "completed", "default"): 1}
    assert metrics["perdure.activity.attempts"] == both
    assert metrics["perdure.activity.duration"] == both
    assert metrics["perdure.activity.schedule_to_start"] == {("charge", "default"): 1}


@pytest.mark.needs_cache
async def test_workflow_tasks_find_their_execution_in_memory_or_not(metrics: Metrics) -> None:
    async with Orchestrator("memory://", metrics.app, cache_size=1) as perdure:
        one, other = [await perdure.start(waiting) for _ in range(2)]
        await until(lambda: metrics["perdure.cache.evictions"] == {(): 1})
        assert metrics["perdure.cache.size"] == {(): 1}
        await other.signal(go, "on")
        await other.result()
        assert metrics["perdure.cache.hits"] == {(): 1}
        assert metrics["perdure.cache.misses"] == {}
        await one.signal(go, "on")
        await one.result()

    assert metrics["perdure.cache.misses"] == {(): 1}
    assert metrics["perdure.workflow_task.duration"] == {("waiting",): 4}
    assert metrics["perdure.cache.size"] == {(): 0}


async def test_claims_and_commits_are_measured(metrics: Metrics, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    async with Client(store) as client, Worker(store, metrics.app):
        await asyncio.gather(*(client.run(order) for _ in range(5)))

    claimed = {point.attributes["perdure.kind"]: point.sum for point in metrics.points("perdure.claim.tasks")}
    assert claimed["workflow"] >= 5
    assert claimed["activity"] >= 5  # second attempts come by claims
    waited = metrics["perdure.workflow_task.schedule_to_start"]
    assert waited[("order",)] >= 5
    [batches] = metrics.points("perdure.commit.transitions")
    [commits] = metrics.points("perdure.commit.duration")
    assert batches.count == commits.count
    assert batches.sum >= 10
    assert 0 < commits.min < commits.max < 60


async def test_one_of_the_workers_counts_what_waits_and_what_is_stuck(metrics: Metrics, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    others = Metrics()
    async with Client(store) as client, Worker(store, metrics.app), Worker(store, others.app):
        await client.start(lost)
        await until(lambda: metrics["perdure.queue.depth"].get(("activity", "unserved")) == 1)
        assert metrics["perdure.queue.depth"][("workflow", "unserved")] == 0
        assert metrics["perdure.queue.oldest_age"][("unserved",)] >= 0
        assert metrics["perdure.workflow.stuck"] == {(): 0}
        assert others["perdure.queue.depth"] == {}
        assert others["perdure.workflow.stuck"] == {}
    others.close()
    assert metrics["perdure.queue.depth"] == {}


async def test_stuck_instances_are_counted(metrics: Metrics) -> None:
    @workflow(name="order")
    async def changed(ctx: Context) -> None:
        await ctx.sleep(timedelta(days=1))

    @workflow(name="order")
    async def before(ctx: Context) -> None:
        await ctx.signal_channel(go).receive()
        await ctx.sleep(timedelta(days=1))

    async with Client("memory://stuck") as client:
        async with Worker(client.backend, App(workflows=[before])):
            handle = await client.start(before)
            await until_async(lambda: _has_begun(client, handle.instance_id))
        async with Worker(client.backend, App(workflows=[changed], telemetry=metrics.telemetry)):
            await handle.signal(go, "on")
            await until(lambda: metrics["perdure.workflow.stuck"] == {(): 1})


async def _has_begun(client: Client, instance_id: str) -> bool:
    return any([each.history_length async for each in client.list(id_prefix=instance_id)])


async def test_attributes_hold_no_ids(metrics: Metrics) -> None:
    async with Orchestrator("memory://", metrics.app) as perdure:
        handles = [await perdure.start(order) for _ in range(2)]
        await asyncio.gather(*(handle.result() for handle in handles))

    data = metrics._reader.get_metrics_data()
    assert data is not None
    shown = data.to_json()
    assert "perdure.workflow.started" in shown
    assert not [handle.instance_id for handle in handles if handle.instance_id in shown]
