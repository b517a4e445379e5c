"""Histories page by page, filtered, and their payloads whole."""

from __future__ import annotations

from typing import get_args

import pytest

from perdure.diagnostics.look import Look
from perdure.diagnostics.steps import Steps
from perdure.diagnostics.views.history import KINDS, EventRow, HistoryPage, read_event, read_history, read_payload
from perdure.diagnostics.views.timeline import read_timeline
from perdure.diagnostics.views.words import in_words
from perdure.errors import InstanceNotFound
from perdure.model.event import Event, MarkedStuck
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import breaking, counting, errand, go, many_steps, waiting


async def errand_of(perdure: Orchestrator) -> str:
    handle = await perdure.start(errand.with_options(instance_id="errand"), "milk")
    await handle.signal(go, "!")
    await handle.result()
    return "errand"


async def pages(look: Look, instance_id: str, limit: int) -> list[HistoryPage]:
    found, after = list[HistoryPage](), -1
    while True:
        found.append(await read_history(look, instance_id, after=after, limit=limit))
        if found[-1].next_after is None:
            return found
        after = found[-1].next_after


async def test_every_event_is_told_in_words(perdure: Orchestrator, look: Look) -> None:
    page = await read_history(look, await errand_of(perdure))

    kinds = [each.kind for each in page.events if each.kind != "SignalReceived"]  # it may arrive at any time
    assert kinds == [
        "ExecutionStarted",
        "ActivityScheduled",
        "ActivityCompleted",
        "SubWorkflowScheduled",
        "SubWorkflowCompleted",
        "SideEffectRecorded",
        "TimerSet",
        "TimerFired",
        "TimerSet",
        "ExecutionCompleted",
    ]
    words = [each.summary for each in page.events]
    assert {"errand started", "shout scheduled on queue default", "shout completed", "signal go arrived"} < {*words}
    assert "sub-workflow pick started as errand/pick" in words
    assert page.next_after is None


async def test_commands_have_the_time_of_what_led_to_them_and_answers_their_commands(
    perdure: Orchestrator, look: Look
) -> None:
    events = (await read_history(look, await errand_of(perdure))).events

    by_kind = {each.kind: each for each in events}
    scheduled, completed = by_kind["ActivityScheduled"], by_kind["ActivityCompleted"]
    assert scheduled.at == by_kind["ExecutionStarted"].at
    assert scheduled.command_position is None
    assert (completed.number, completed.command_position) == (1, scheduled.position)
    assert by_kind["SubWorkflowScheduled"].instance_id == "errand/pick"
    assert [each.group for each in events[:3]] == ["applied", "command", "applied"]
    assert events[-1].group == "end"


async def test_pages_are_the_whole_history_in_order(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(many_steps, 30)
    await handle.result()

    whole = await read_history(look, handle.instance_id, limit=1000)
    parts = await pages(look, handle.instance_id, 7)

    assert len(whole.events) == 62
    assert sum((each.events for each in parts), ()) == whole.events
    assert all(len(each.events) == 7 for each in parts[:-1])


async def test_a_page_from_the_middle_says_what_a_whole_one_says(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(many_steps, 30)
    await handle.result()
    whole = (await read_history(look, handle.instance_id, limit=1000)).events
    fresh = Look(look.client, look.app)

    part = await read_history(fresh, handle.instance_id, after=49, limit=5)
    one = await read_event(Look(look.client, look.app), handle.instance_id, part.execution_id, 60)

    assert part.events == whole[50:55]
    assert one == whole[60]


async def test_kinds_and_texts_are_looked_for(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(many_steps, 30)
    await handle.result()

    async def found(**asked: object) -> list[EventRow]:
        return list((await read_history(look, handle.instance_id, **asked)).events)  # type: ignore[arg-type]

    assert [each.kind for each in await found(kinds=["ExecutionStarted", "ExecutionCompleted"])] == [
        "ExecutionStarted",
        "ExecutionCompleted",
    ]
    assert [each.kind for each in await found(text="Step 17")] == ["ActivityScheduled", "ActivityCompleted"]
    assert [each.kind for each in await found(text="STEP 17", kinds=["ActivityCompleted"])] == ["ActivityCompleted"]
    assert await found(text="nothing of the kind") == []
    assert len(await found(text="shout", limit=3)) == 3


async def test_a_traceback_is_looked_through_too(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(breaking)
    await handle.wait()

    page = await read_history(look, handle.instance_id, text='outoforder("for good")')

    assert [each.kind for each in page.events] == ["ActivityFailed", "ExecutionFailed"]
    assert page.events[0].failure is not None
    assert page.events[0].failure.type_name == "OutOfOrder"


async def test_what_is_written_later_is_read_from_the_last_position_on(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(waiting)
    before = await read_history(look, handle.instance_id)
    while before.last_position < 0:
        before = await read_history(look, handle.instance_id)
    await handle.signal(go, "!")
    await handle.result()

    after = await read_history(look, handle.instance_id, after=before.last_position)

    assert [each.kind for each in after.events] == ["SignalReceived", "ExecutionCompleted"]


async def test_an_earlier_execution_has_its_own_history(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(counting, 0)
    await handle.result()
    first = (await perdure.executions(handle.instance_id))[0].execution_id

    page = await read_history(look, handle.instance_id, execution_id=first)

    assert [each.kind for each in page.events] == ["ExecutionStarted", "ExecutionContinued"]


@pytest.mark.parametrize("size", [10, 300_000])  # the second one is kept apart in most stores
async def test_payloads_can_be_had_whole(perdure: Orchestrator, look: Look, size: int) -> None:
    handle = await perdure.start(waiting)
    await handle.signal(go, "x" * size)
    await handle.result()
    page = await read_history(look, handle.instance_id, kinds=["SignalReceived"])
    (event,) = page.events

    whole = await read_payload(look, handle.instance_id, page.execution_id, event.position, "payload")

    assert whole is not None
    assert (whole.kind, whole.data) == ("json", b'"' + b"x" * size + b'"')
    assert [each.name for each in event.payloads] == ["payload"]
    assert event.payloads[0].payload.is_cut == (size > 10)


@pytest.mark.parametrize("name", ["result", "failure", "carried.0", "at", "__class__", ""])
async def test_a_payload_that_is_not_there_is_none(perdure: Orchestrator, look: Look, name: str) -> None:
    execution_id = (await read_history(look, await errand_of(perdure))).execution_id

    assert await read_payload(look, "errand", execution_id, 0, name) is None
    assert await read_payload(look, "errand", execution_id, 1_000, "result") is None
    assert await read_event(look, "errand", execution_id, -5) is None
    assert await read_event(look, "errand", "nonsense", 0) is None


async def test_an_execution_of_another_instance_is_not_shown(perdure: Orchestrator, look: Look) -> None:
    page = await read_history(look, await errand_of(perdure))

    with pytest.raises(InstanceNotFound, match="has no execution"):
        await read_history(look, "errand/pick", execution_id=page.execution_id)
    with pytest.raises(InstanceNotFound, match="has no execution"):
        await read_timeline(look, "errand/pick", execution_id=page.execution_id)
    assert await read_event(look, "errand/pick", page.execution_id, 0) is None


async def test_nobody_has_no_history(look: Look) -> None:
    with pytest.raises(InstanceNotFound):
        await read_history(look, "nobody")


def test_there_are_words_for_every_kind() -> None:
    from perdure.diagnostics.views import words

    assert {*KINDS} == {kind.__name__ for kind in words._WORDS} == {kind.__name__ for kind in get_args(Event)}


def test_words_are_one_line_even_of_a_long_reason() -> None:
    assert in_words(MarkedStuck(at=1, reason="it differs\n  history says: x"), Steps()) == "stuck: it differs"
