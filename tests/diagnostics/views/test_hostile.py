"""Whatever users put into ids, names, values and errors, every view reads it and can be written as JSON."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.diagnostics.look import SHOWN, Look
from perdure.diagnostics.views.history import read_event, read_history, read_payload
from perdure.diagnostics.views.instances import read_counts, read_instances
from perdure.diagnostics.views.queues import read_queues
from perdure.diagnostics.views.run import read_run
from perdure.diagnostics.views.timeline import read_timeline
from perdure.diagnostics.views.tree import read_tree
from perdure.diagnostics.views.where import read_where
from perdure.errors import WorkflowFailed
from perdure.model.retry import NO_RETRY
from perdure.orchestrator import Orchestrator
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal

NASTY = "a/b:c%2F..?d=e&f#g \"'<script>alert(1)</script>~ü\N{SNOWMAN}\t\n\x1b[31m"
SAID = NASTY + "\x00\ud800\u202e" + "x" * 50_000
LARGE = 20_000_000

note = Signal("<b>note</b>")


@activity(name="<i>raise</i>", retry=NO_RETRY)
async def raising(what: str) -> None:
    raise type("<u>Nasty</u>", (Exception,), {})(SAID)


@workflow(name="<b>below</b>")
async def below(ctx: Context, what: str) -> None:
    await ctx.execute_activity(raising, what)


@workflow(name="<b>above</b>")
async def above(ctx: Context, what: dict[str, Any]) -> None:
    await ctx.signal_channel(note).receive()
    await ctx.execute_sub_workflow(below.with_options(instance_id=f"{NASTY} below"), NASTY)


@workflow
async def large(ctx: Context, count: int) -> str:
    await ctx.signal_channel(Signal("wait")).receive()
    return "\N{SNOWMAN}" * count


NASTY_APP = App(workflows=[above, below, large], activities=[raising])


@pytest.fixture
def app() -> App:
    return NASTY_APP


async def views_of(look: Look, instance_id: str) -> list[msgspec.Struct]:
    return [
        await read_run(look, instance_id),
        await read_timeline(look, instance_id),
        await read_history(look, instance_id),
        await read_history(look, instance_id, text=NASTY, kinds=["nothing of the kind"]),
        await read_where(look, instance_id),
        await read_tree(look, instance_id),
        await read_instances(look, id_contains=instance_id),
        await read_counts(look, id_prefix=instance_id, workflow=NASTY, tags={NASTY: NASTY}),
        await read_queues(look),
    ]


async def test_every_view_can_be_written_as_json(perdure: Orchestrator, look: Look) -> None:
    options = above.with_options(instance_id=NASTY, tags={"<tag>": NASTY})
    handle = await perdure.start(options, {NASTY: ["\x00", NASTY]})
    while_it_waits = await views_of(look, NASTY)
    await handle.signal(note)
    with pytest.raises(WorkflowFailed):
        await handle.result()

    for view in [*while_it_waits, *await views_of(look, NASTY), *await views_of(look, f"{NASTY} below")]:
        written = msgspec.json.encode(view)
        assert msgspec.json.decode(written, type=type(view)) == view


async def test_what_was_said_is_shown_as_far_as_text_can_be(perdure: Orchestrator, look: Look) -> None:
    with pytest.raises(WorkflowFailed):
        await perdure.run(below.with_options(instance_id=NASTY), NASTY)

    run = await read_run(look, NASTY)
    (found,) = (await read_instances(look, id_contains="c%2F..?")).instances

    assert found.instance_id == NASTY
    assert run.ending is not None
    failure = run.ending.failure
    assert failure is not None
    assert failure.type_name.endswith("<u>Nasty</u>")
    assert failure.message.startswith(NASTY + "\x00\\ud800\u202e")
    assert len(failure.message) < 20_000


async def test_a_large_value_is_cut_and_can_be_had_whole(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(large.with_options(instance_id="large"), LARGE // 3)
    await handle.signal(Signal("wait"))
    await handle.result()

    run = await read_run(look, "large")
    ends = await read_history(look, "large", kinds=["ExecutionCompleted"])
    whole = await read_payload(look, "large", ends.execution_id, ends.events[0].position, "result")

    assert run.ending is not None
    assert run.ending.result is not None
    assert run.ending.result.is_cut
    assert run.ending.result.size > LARGE - 10
    assert len(run.ending.result.text) <= SHOWN
    assert await read_event(look, "large", ends.execution_id, ends.events[0].position) == ends.events[0]
    assert whole is not None
    assert whole.data == b'"' + "\N{SNOWMAN}".encode() * (LARGE // 3) + b'"'
