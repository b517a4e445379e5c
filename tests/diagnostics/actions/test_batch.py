"""One action on all instances of a filter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from perdure.client.client import Client
from perdure.diagnostics.actions import batch
from perdure.diagnostics.actions.batch import Batches, BatchStatus, Phase
from perdure.diagnostics.actions.desk import Desk
from perdure.diagnostics.actions.inputs import Inputs
from perdure.diagnostics.actions.permissions import Permissions
from perdure.diagnostics.actions.results import Result, Verdict
from perdure.diagnostics.actions.table import ActionName, Target, TargetKind
from perdure.model.inspection import InstanceFilter
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from tests.diagnostics.actions.support import Bank, approved, checkout, giving_back, until_waiting

APPROVED = InstanceFilter(workflow="approved")


async def start(perdure: Orchestrator, count: int) -> list[str]:
    handles = [await perdure.start(approved.with_options(instance_id=f"order-{place}")) for place in range(count)]
    return [handle.instance_id for handle in handles]


async def begin(batches: Batches, name: ActionName, where: InstanceFilter, **inputs: Any) -> BatchStatus:
    begun = await batches.start(None, name, where, Inputs(**inputs))
    assert isinstance(begun, BatchStatus), begun
    return begun


async def finish(batches: Batches, begun: BatchStatus) -> BatchStatus:
    await batches.wait()
    found = batches.read(begun.batch_id)
    assert isinstance(found, BatchStatus)
    return found


async def test_it_does_it_to_all_that_it_suits(perdure: Orchestrator, desk: Desk) -> None:
    await start(perdure, 30)
    ended = await perdure.start(checkout.with_options(instance_id="order-x"), "7")
    await ended.result(timeout=20)
    batches = Batches(desk)

    begun = await begin(batches, ActionName.SIGNAL, InstanceFilter(id_prefix="order-"), signal="approval", value="otto")
    done = await finish(batches, begun)

    assert (done.phase, done.total, done.done, done.skipped, done.failed) == (Phase.ENDED, 31, 30, 1, 0)
    assert done.ended_at is not None
    assert [await perdure.result(f"order-{place}", timeout=20) for place in range(30)] == ["approved by otto"] * 30


async def test_everything_that_waits_for_a_retry_is_pushed_on(perdure: Orchestrator, desk: Desk, bank: Bank) -> None:
    bank.broken.add("refund")
    handles = [await perdure.start(giving_back, str(place)) for place in range(5)]
    for handle in handles:
        await until_waiting(perdure, handle.instance_id, attempt=2)
    bank.broken.clear()
    batches = Batches(desk)

    done = await finish(
        batches, await begin(batches, ActionName.RETRY_ACTIVITY, InstanceFilter(workflow="giving_back"))
    )

    assert done.done == 5
    assert [await handle.result(timeout=20) for handle in handles] == [f"refund {place}" for place in range(5)]


async def test_it_tells_of_the_first_few_why_they_failed(perdure: Orchestrator) -> None:
    """Somebody else removes them, each before its turn comes."""

    async def authorize(request: Any, action: ActionName, target: Target) -> str:
        if target.kind is TargetKind.INSTANCE and target.id != "order-7":
            await perdure.terminate(target.id)
            await perdure.remove(target.id)
        return "anna"

    await start(perdure, 20)
    batches = Batches(Desk(perdure, Permissions(authorize)))

    done = await finish(batches, await begin(batches, ActionName.SUSPEND, APPROVED))

    assert (done.phase, done.done, done.failed, len(done.failures)) == (Phase.ENDED, 1, 19, 10)
    assert all("there is no instance" in each.message for each in done.failures)


async def test_each_instance_is_asked_for_and_put_on_record(
    perdure: Orchestrator, caplog: pytest.LogCaptureFixture
) -> None:
    def authorize(request: Any, action: ActionName, target: Target) -> str | None:
        return "anna" if target.kind is TargetKind.FILTER or target.id != "order-1" else None

    caplog.set_level(logging.INFO, logger="perdure.diagnostics.audit")
    await start(perdure, 3)
    batches = Batches(Desk(perdure, Permissions(authorize)))

    done = await finish(batches, await begin(batches, ActionName.SUSPEND, APPROVED))

    assert (done.who, done.done, done.failed) == ("anna", 2, 1)
    assert [each.instance_id for each in done.failures] == ["order-1"]
    assert not (await perdure.info("order-1")).suspended
    found = sorted((vars(each)["target"], vars(each)["outcome"]) for each in caplog.records if hasattr(each, "outcome"))
    assert found == [
        ("order-0", "done"),
        ("order-1", "forbidden"),
        ("order-2", "done"),
        ('{"workflow":"approved"}', "batch started"),
    ]


async def test_it_needs_leave_a_filter_and_an_action_for_many(perdure: Orchestrator, desk: Desk) -> None:
    await start(perdure, 1)

    forbidden = await Batches(Desk(perdure)).start(None, ActionName.TERMINATE, APPROVED)
    unfiltered = await Batches(desk).start(None, ActionName.TERMINATE, InstanceFilter())
    alone = await Batches(desk).start(None, ActionName.PAUSE_QUEUE, APPROVED)

    found = [each.verdict for each in (forbidden, unfiltered, alone) if isinstance(each, Result)]
    assert found == [Verdict.FORBIDDEN, Verdict.INVALID, Verdict.INVALID]
    assert await perdure.state("order-0") is State.RUNNING


async def test_one_that_is_stopped_begins_nothing_more(perdure: Orchestrator) -> None:
    """The hook holds each instance until the batch is stopped."""
    stopped, asked = asyncio.Event(), set[str]()

    async def authorize(request: Any, action: ActionName, target: Target) -> str:
        if target.kind is TargetKind.INSTANCE:
            asked.add(target.id)
            await stopped.wait()
        return "anna"

    await start(perdure, 3 * batch.AT_ONCE)
    batches = Batches(Desk(perdure, Permissions(authorize)))
    begun = await begin(batches, ActionName.TERMINATE, APPROVED)
    while len(asked) < batch.AT_ONCE:
        await asyncio.sleep(0)

    result = await batches.stop(None, begun.batch_id)
    stopped.set()
    done = await finish(batches, begun)

    assert result.is_done
    assert (done.phase, done.done, done.total) == (Phase.STOPPED, batch.AT_ONCE, 3 * batch.AT_ONCE)
    assert sum([await perdure.state(name) is State.RUNNING for name in await ids(perdure)]) == 2 * batch.AT_ONCE


async def ids(perdure: Orchestrator) -> list[str]:
    return [each.instance_id async for each in perdure.list(workflow="approved")]


async def test_a_hook_that_breaks_breaks_the_batch_off(perdure: Orchestrator, caplog: pytest.LogCaptureFixture) -> None:
    def authorize(request: Any, action: ActionName, target: Target) -> str:
        if target.kind is TargetKind.INSTANCE:
            raise LookupError("no such user")
        return "anna"

    await start(perdure, 3)
    batches = Batches(Desk(perdure, Permissions(authorize)))

    done = await finish(batches, await begin(batches, ActionName.TERMINATE, APPROVED))

    assert (done.phase, done.done, bool(done.problem)) == (Phase.BROKEN_OFF, 0, True)
    assert "no such user" in caplog.text, "whoever runs the server is told"
    assert "no such user" not in done.problem, "and nobody else"


async def test_a_store_that_takes_nothing_more_breaks_it_off(empty_store: Callable[[str], str]) -> None:
    async with Client(empty_store("sqlite")) as client:

        async def authorize(request: Any, action: ActionName, target: Target) -> str:
            if target.kind is TargetKind.INSTANCE:
                await client.backend.seal("postgresql://elsewhere")
            return "anna"

        for _ in range(3 * batch.AT_ONCE):
            await client.start(approved)
        batches = Batches(Desk(client, Permissions(authorize)))

        done = await finish(batches, await begin(batches, ActionName.SUSPEND, APPROVED))

    assert (done.phase, done.done, done.total) == (Phase.BROKEN_OFF, 0, 3 * batch.AT_ONCE)
    assert "postgresql://elsewhere" in done.problem
    assert done.failed <= batch.AT_ONCE, "the others aren't tried"


async def test_closing_breaks_off_what_runs(perdure: Orchestrator) -> None:
    is_asked = asyncio.Event()

    async def authorize(request: Any, action: ActionName, target: Target) -> str:
        if target.kind is TargetKind.INSTANCE:
            is_asked.set()
            await asyncio.Event().wait()
        return "anna"

    await start(perdure, 3)
    batches = Batches(Desk(perdure, Permissions(authorize)))
    begun = await begin(batches, ActionName.TERMINATE, APPROVED)
    await is_asked.wait()

    await batches.close()

    done = batches.read(begun.batch_id)
    assert isinstance(done, BatchStatus)
    assert (done.phase, done.problem) == (Phase.BROKEN_OFF, "the server stopped")


async def test_more_than_it_takes_is_left_for_another_one(
    perdure: Orchestrator, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MOST_INSTANCES", 4)
    await start(perdure, 6)
    batches = Batches(desk)
    running = InstanceFilter(workflow="approved", states=frozenset({State.RUNNING}))

    first = await finish(batches, await begin(batches, ActionName.TERMINATE, running))
    second = await finish(batches, await begin(batches, ActionName.TERMINATE, running))

    assert [(each.done, each.is_cut) for each in (first, second)] == [(4, True), (2, False)]


async def test_only_a_few_run_at_once_and_the_last_that_ended_are_known(perdure: Orchestrator) -> None:
    gate = asyncio.Event()

    async def authorize(request: Any, action: ActionName, target: Target) -> str:
        if target.kind is TargetKind.INSTANCE:
            await gate.wait()
        return "anna"

    await start(perdure, 1)
    batches = Batches(Desk(perdure, Permissions(authorize)))
    for _ in range(batch.MOST_RUNNING):
        await begin(batches, ActionName.SUSPEND, APPROVED)
    refused = await batches.start(None, ActionName.SUSPEND, APPROVED)
    gate.set()
    await batches.wait()
    for _ in range(60):
        await finish(batches, await begin(batches, ActionName.RESUME, APPROVED))

    assert isinstance(refused, Result)
    assert refused.verdict is Verdict.CONFLICT
    assert len(batches.list()) == 50


async def test_one_that_nobody_knows_is_not_found(desk: Desk) -> None:
    batches = Batches(desk)

    for found in (batches.read("x"), await batches.stop(None, "x")):
        assert isinstance(found, Result)
        assert found.verdict is Verdict.NOT_FOUND
