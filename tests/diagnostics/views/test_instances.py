"""Pages and counts of instances."""

from __future__ import annotations

from datetime import timedelta

from perdure.diagnostics.look import Look
from perdure.diagnostics.views.instances import read_counts, read_instances, waiting_filters
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import breaking, pick, until_quiet, waiting


async def test_the_newest_come_first_and_a_cursor_leads_on(perdure: Orchestrator, look: Look) -> None:
    for place in range(5):
        await perdure.run(pick.with_options(instance_id=f"pick-{place}"), "red")

    first = await read_instances(look, limit=3)
    second = await read_instances(look, limit=3, cursor=first.cursor)

    assert [each.instance_id for each in first.instances] == ["pick-4", "pick-3", "pick-2"]
    assert [each.instance_id for each in second.instances] == ["pick-1", "pick-0"]
    assert second.cursor is None
    assert first.instances[0].standing == "completed"


async def test_filters_and_search_let_some_through(perdure: Orchestrator, look: Look) -> None:
    for name in ("order-1", "order-2", "bill-1"):
        await perdure.run(pick.with_options(instance_id=name, tags={"is": name}), "red")

    found = await read_instances(look, id_contains="der-")
    tagged = await read_instances(look, tags={"is": "bill-1"})

    assert [each.instance_id for each in found.instances] == ["order-2", "order-1"]
    assert [each.instance_id for each in tagged.instances] == ["bill-1"]


async def test_counts_tell_states_and_what_runs_but_does_not_go_on(perdure: Orchestrator, look: Look) -> None:
    await perdure.run(pick, "red")
    await (await perdure.start(breaking)).wait()
    held = await perdure.start(waiting)
    await perdure.start(waiting)
    await until_quiet(perdure, held.instance_id, 1)
    await held.suspend()

    counts = await read_counts(look)
    ended = await read_counts(look, states=["failed"])
    free = await read_counts(look, suspended=False, workflow="waiting")

    assert counts.states == {
        State.RUNNING: 2,
        State.COMPLETED: 1,
        State.FAILED: 1,
        State.CANCELLED: 0,
        State.TERMINATED: 0,
        State.CONTINUED_AS_NEW: 0,
    }
    assert (counts.total, counts.stuck, counts.suspended) == (4, 0, 1)
    assert (ended.total, ended.suspended) == (1, 0)
    assert (free.total, free.suspended) == (1, 0)


async def test_those_to_which_nothing_happens_wait_long(perdure: Orchestrator, look: Look) -> None:
    await perdure.run(pick, "red")
    handle = await perdure.start(waiting)
    await until_quiet(perdure, handle.instance_id, 1)

    in_a_moment = await read_counts(look, waiting_long=timedelta(0))
    in_an_hour = await read_counts(look)
    which = await read_instances(look, **waiting_filters({}, await look.now(), timedelta(0)))

    assert (in_a_moment.waiting_long, in_a_moment.waiting_long_seconds) == (1, 0)
    assert (in_an_hour.waiting_long, in_an_hour.waiting_long_seconds) == (0, 3600)
    assert [each.instance_id for each in which.instances] == [handle.instance_id]


async def test_a_suspended_one_is_said_to_be_so(perdure: Orchestrator, look: Look) -> None:
    held = await perdure.start(waiting)
    await held.suspend()

    (row,) = (await read_instances(look)).instances

    assert (row.state, row.standing, row.is_suspended) == (State.RUNNING, "suspended", True)
