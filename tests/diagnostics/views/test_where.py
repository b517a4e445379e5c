"""Where an instance is: from its history, and in its code."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from perdure.app import App
from perdure.diagnostics.look import Look
from perdure.diagnostics.views.timeline import BarKind
from perdure.diagnostics.views.where import Where, read_where
from perdure.errors import InstanceNotFound
from perdure.orchestrator import Orchestrator
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from tests.diagnostics.views.programs import (
    ACTIVITIES,
    WORKFLOWS,
    errand,
    family,
    go,
    pick,
    pressing,
    shout,
    until_quiet,
    waiting,
)
from tests.worker.support import until, until_async


async def errand_that_waits(perdure: Orchestrator) -> str:
    await perdure.start(errand.with_options(instance_id="errand"), "milk")
    await until_quiet(perdure, "errand", 9)
    return "errand"


async def test_the_line_that_waits_is_named(perdure: Orchestrator, look: Look) -> None:
    where = await read_where(look, await errand_that_waits(perdure))

    (place,) = where.places
    assert where.code == "shown"
    assert (place.task, place.function, place.file) == ("main", "errand", errand.function.__code__.co_filename)
    assert place.source == "return loud + await ctx.signal_channel(go).receive()"
    assert where.summary.startswith(f"It waits in errand, line {place.line}. Under way: a timer that is due at ")


async def test_history_alone_tells_what_has_no_answer(perdure: Orchestrator) -> None:
    instance_id = await errand_that_waits(perdure)

    where = await read_where(Look(perdure), instance_id)

    assert where.code == "no app"
    assert [(each.kind, each.position) for each in where.awaited] == [(BarKind.TIMER, 8)]
    assert where.awaited[0].due_at is not None
    assert where.summary.endswith("It may also wait for a signal, an update or a condition.")


async def test_sub_workflows_are_shown_as_they_stand(perdure: Orchestrator, look: Look) -> None:
    await perdure.start(family.with_options(instance_id="top"), 3, 1)
    await until_quiet(perdure, "top", 4)
    await perdure.suspend((await anext(perdure.list(parent_instance_id="top"))).instance_id)

    where = await read_where(look, "top", most=2)
    all_of_them = await read_where(look, "top", with_code=False)

    assert (len(where.awaited), where.awaited_left_out) == (2, 1)
    assert [each.label for each in where.awaited] == ["family", "family"]
    assert sorted(each.standing for each in all_of_them.awaited) == ["running", "running", "suspended"]
    assert all_of_them.code == "not asked"
    assert all_of_them.places == ()
    assert len(where.places) == 1, "gathered futures are no tasks"


async def test_a_retrying_activity_is_shown_with_its_next_try(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(pressing, 3)

    async def is_retrying() -> bool:
        awaited = (await read_where(look, handle.instance_id, with_code=False)).awaited
        return any(each.standing == "retrying" for each in awaited)

    await until_async(is_retrying)

    where = await read_where(look, handle.instance_id)
    assert where.awaited[0].due_at is not None
    assert where.places[0].waits_for == "activity press"
    assert where.summary.startswith("It waits for activity press in pressing, line ")


async def test_what_stands_in_its_way_is_said_first(perdure: Orchestrator, look: Look) -> None:
    waits = await perdure.start(waiting)
    await until_quiet(perdure, waits.instance_id, 1)
    summaries = [(await read_where(Look(perdure), waits.instance_id)).summary]
    await waits.suspend()
    summaries.append((await read_where(look, waits.instance_id)).summary)
    await waits.terminate()
    summaries.append((await read_where(look, waits.instance_id)).summary)
    await perdure.start(waiting.with_options(instance_id="far", queue="nobody"))
    summaries.append((await read_where(look, "far")).summary)

    assert summaries == [
        "It waits for a signal, an update or a condition.",
        "It is suspended: nothing new of it begins until it is resumed.",
        "It has ended: terminated.",
        "It has something to do, and waits for a worker that serves queue nobody.",
    ]


async def test_an_ended_instance_is_not_replayed(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(pick, "red")
    await handle.result()

    where = await read_where(look, handle.instance_id)

    assert (where.code, where.awaited, where.places) == ("ended", (), ())


async def test_large_values_are_fetched_for_the_replay(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(errand.with_options(instance_id="errand"), "m" * 300_000)
    await until_quiet(perdure, "errand", 9)

    assert (await read_where(look, handle.instance_id)).code == "shown"


async def test_nobody_is_not_found(look: Look) -> None:
    with pytest.raises(InstanceNotFound):
        await read_where(look, "nobody")


# code that isn't what made the history


async def seen_with(
    perdure: Orchestrator, instance_id: str, *workflows: Workflow[..., object], seconds: float = 20
) -> Where:
    others = [each for each in WORKFLOWS if each.name not in {new.name for new in workflows}]
    today = App(workflows=[*workflows, *others], activities=ACTIVITIES, codecs=[])
    return await read_where(Look(perdure, today), instance_id, seconds=seconds)


async def test_code_that_differs_is_told(perdure: Orchestrator) -> None:
    @workflow(name="errand")
    async def lazy(ctx: Context, what: str) -> str:
        return await ctx.signal_channel(go).receive()

    where = await seen_with(perdure, await errand_that_waits(perdure), lazy)

    assert where.code == "differs"
    assert "history says: activity 1: shout" in where.problem
    assert len(where.awaited) == 1, "history still tells what it can"


async def test_a_workflow_that_the_app_does_not_have_is_told(perdure: Orchestrator) -> None:
    await errand_that_waits(perdure)

    where = await read_where(Look(perdure, App(workflows=[pick], activities=[shout])), "errand")

    assert (where.code, where.problem) == ("unknown workflow", "the App has no workflow 'errand'")


async def test_arguments_that_no_longer_fit_are_told(perdure: Orchestrator) -> None:
    @workflow(name="errand")
    async def counted(ctx: Context, what: int) -> None: ...

    where = await seen_with(perdure, await errand_that_waits(perdure), counted)

    assert where.code == "failed"
    assert where.problem.startswith("DecodeError: ")


class TestCodeThatBlocks:
    @pytest.fixture
    async def gate(self) -> AsyncIterator[threading.Event]:
        gate = threading.Event()
        yield gate
        gate.set()

    async def test_it_is_left_alone_and_holds_up_nobody(self, perdure: Orchestrator, gate: threading.Event) -> None:
        @workflow(name="errand")
        async def blocking(ctx: Context, what: str) -> None:
            gate.wait()

        where = await seen_with(perdure, await errand_that_waits(perdure), blocking, seconds=0.05)

        assert where.code == "too slow"
        assert len(where.awaited) == 1

    async def test_few_of_them_are_at_work_at_a_time(self, perdure: Orchestrator, gate: threading.Event) -> None:
        blocked: list[str] = []

        @workflow(name="waiting")
        async def blocking(ctx: Context) -> str:
            blocked.append(ctx.info.instance_id)
            gate.wait()
            return await ctx.signal_channel(go).receive()

        ids = [(await perdure.start(waiting)).instance_id for _ in range(3)]
        for instance_id in ids:
            await until_quiet(perdure, instance_id, 1)
        today = Look(perdure, App(workflows=[blocking]))
        at_work = [asyncio.create_task(read_where(today, instance_id, seconds=60)) for instance_id in ids[:2]]
        await until(lambda: len(blocked) == 2)

        third = await read_where(today, ids[2], seconds=0.05)
        assert third.code == "too slow"
        assert ids[2] not in blocked

        gate.set()
        assert [(await each).code for each in at_work] == ["shown", "shown"]
        assert (await read_where(today, ids[2], seconds=60)).code == "shown", "there is room again"


async def test_one_replay_serves_until_something_happens(perdure: Orchestrator) -> None:
    seen: list[str] = []

    @workflow(name="waiting")
    async def watched(ctx: Context) -> str:
        seen.append(ctx.info.instance_id)
        return await ctx.signal_channel(go).receive()

    handle = await perdure.start(waiting)
    await until_quiet(perdure, handle.instance_id, 1)
    look = Look(perdure, App(workflows=[watched], codecs=[]))

    first = await read_where(look, handle.instance_id)
    again = await read_where(look, handle.instance_id)

    assert first == again
    assert seen == [handle.instance_id]
