"""Instances that are created with their first step: which rows, how few statements, and what they do to their batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from perdure.backends.sqlite import SqliteBackend
from perdure.backends.sqlite.tables import connection_of
from perdure.errors import StoreError
from perdure.model.checkpoint import Checkpoint
from perdure.model.instance import State
from perdure.model.options import IfExists
from perdure.model.transition import Appended, CompleteWorkflowTask, Created, CreateInstance, FirstStep, Terminate
from perdure.testing.conformance import StoreUnderTest, builders
from perdure.testing.conformance.playing import PlayedWorker
from tests.backends.sqlite_helpers import busy_writer, commits, opened, traced


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[StoreUnderTest]:
    async with opened(tmp_path / "store.db") as store:
        yield store


def with_step(
    worker: PlayedWorker, instance_id: str = "order-1", *, release: bool = False, start: Any = None, **parts: Any
) -> CreateInstance:
    request = builders.create(instance_id, **(start or {}))
    checkpoint = Checkpoint(position=0, events=(request.started, builders.marked()), **parts)
    step = FirstStep(checkpoint=checkpoint, offer=worker.offer(), release=release)
    return CreateInstance(
        **{name: getattr(request, name) for name in request.__struct_fields__ if name != "first_step"}, first_step=step
    )


async def begin(store: StoreUnderTest, *requests: CreateInstance) -> list[Created]:
    outcomes = await asyncio.gather(*(store.backend.commit(request) for request in requests))
    assert all(isinstance(outcome, Created) for outcome in outcomes)
    return [outcome for outcome in outcomes if isinstance(outcome, Created)]


async def rows(store: StoreUnderTest, statement: str) -> list[Any]:
    assert isinstance(store.backend, SqliteBackend)
    return await store.backend._write(lambda unit: connection_of(unit).execute(statement).fetchall())


async def test_the_row_is_written_as_the_first_step_leaves_it(store: StoreUnderTest) -> None:
    worker = await store.worker()
    statements = await traced(store)
    (created,) = await begin(store, with_step(worker, activities=(builders.activity(),), next_timer_at=2**60))
    written = [statement.split()[0] for statement in statements if statement.startswith(("insert", "update", "delete"))]
    assert written == ["insert", "insert", "insert"]  # the instance, its event row, the activity
    columns = "started, wake_at, worker, token, position, open_activities, pending_count, next_pending, claimed"
    (row,) = await rows(store, f"select {columns} from perdure_instances")
    assert row == (None, 2**60, worker.key, created.token, 2, 1, 0, 1, 0)
    assert await rows(store, "select * from perdure_pending") == []
    (activity,) = await rows(store, "select worker, token from perdure_activities")
    assert created.first is not None
    assert activity == (worker.key, created.first.activities[0].token)


async def test_a_first_step_that_is_the_last_leaves_an_ended_row(store: StoreUnderTest) -> None:
    worker = await store.worker()
    (created,) = await begin(store, with_step(worker, closing=builders.completed()))
    assert created.first is not None
    columns = "state, started, worker, token, wake_at, phase, position"
    assert await rows(store, f"select {columns} from perdure_instances") == [(1, None, None, None, None, 0, 2)]


async def test_first_steps_of_two_hundred_instances_take_a_handful_of_statements(store: StoreUnderTest) -> None:
    """F2: one commit, and a statement for each kind of change."""
    worker = await store.worker()
    statements = await traced(store)
    before = commits(store)
    created = await begin(
        store, *(with_step(worker, f"order-{number}", activities=(builders.activity(),)) for number in range(200))
    )
    assert commits(store) - before == 1
    assert all(one.first is not None and len(one.first.activities) == 1 for one in created)
    assert len({one.token for one in created}) == 200
    kinds = [statement.split(None, 1)[0].lower() for statement in statements]
    assert kinds.count("insert") == 3
    assert kinds.count("update") == kinds.count("delete") == 0
    assert kinds.count("select") <= 10


async def test_ends_and_first_steps_of_one_batch_are_written_together(store: StoreUnderTest) -> None:
    """What a batch asks for at the heads of queues has nothing written early, though a result frees its activity."""
    worker = await store.worker()
    created = await begin(
        store, *(with_step(worker, f"old-{number}", activities=(builders.activity(),)) for number in range(50))
    )
    ends = [
        CompleteWorkflowTask(
            instance_key=one.instance_key,
            token=one.token,
            checkpoint=Checkpoint(position=2, events=(builders.marked(2),), closing=builders.completed()),
            fused=builders.fused(attempt.activity_key, attempt.token),
            offer=worker.offer(),
        )
        for one in created
        for attempt in (one.first.activities if one.first is not None else ())
    ]
    statements = await traced(store)
    new = [with_step(worker, f"new-{number}", activities=(builders.activity(),)) for number in range(50)]
    mixed = [transition for pair in zip(ends, new, strict=True) for transition in pair]
    await asyncio.gather(*(store.backend.commit(transition) for transition in mixed))
    written = [statement.split()[0] for statement in statements if statement.startswith(("insert", "update", "delete"))]
    assert sorted(written) == ["delete", "insert", "insert", "insert", "update"]


async def test_a_first_step_and_a_signal_share_a_batch(store: StoreUnderTest) -> None:
    worker = await store.worker()
    before = commits(store)
    async with busy_writer(store):
        pass
    of_its_own = commits(store) - before
    async with busy_writer(store):
        creation = store.backend.submit(with_step(worker))
        signal = store.backend.submit(builders.append_signal(offer=worker.offer()))
    created, signalled = await creation, await signal
    assert commits(store) - before == 2 * of_its_own + 1
    assert isinstance(created, Created)
    assert isinstance(signalled, Appended)
    assert created.first is not None
    assert signalled.workflow_task is not None
    assert (signalled.workflow_task.token, signalled.workflow_task.position) == (created.token, 2)
    assert await rows(store, "select pending_count, claimed from perdure_instances") == [(1, 1)]


async def test_a_neighbour_that_cannot_be_written_leaves_first_steps_whole(store: StoreUnderTest) -> None:
    """B2: the batch is rolled back and halved; nothing is there twice."""
    worker = await store.worker()
    good = [with_step(worker, f"order-{number}", activities=(builders.activity(),)) for number in range(20)]
    bad = with_step(worker, "bad", activities=(builders.activity(priority=2**70),))
    commit = store.backend.commit
    *outcomes, error = await asyncio.gather(*map(commit, good), commit(bad), return_exceptions=True)
    assert isinstance(error, StoreError)
    assert all(isinstance(outcome, Created) and outcome.first is not None for outcome in outcomes)
    assert await store.backend.count_instances() == {State.RUNNING: 20}
    assert await rows(store, "select count(*) from perdure_events") == [(20,)]
    tokens = {token for (token,) in await rows(store, "select token from perdure_instances")}
    assert tokens == {outcome.token for outcome in outcomes if isinstance(outcome, Created)}


async def test_what_is_created_in_the_same_batch_without_a_step_comes_first(store: StoreUnderTest) -> None:
    """It waits on the queue, though no table shows it yet: all that come after it have to wait as well."""
    worker = await store.worker()
    statements = await traced(store)
    first, plain, *later = await begin(
        store,
        with_step(worker, "first"),
        builders.create("plain"),
        *(with_step(worker, f"later-{number}") for number in range(100)),
    )
    assert first.first is not None
    assert plain.first is None
    assert [one.first for one in later] == [None] * 100
    kinds = [statement.split(None, 1)[0].lower() for statement in statements]
    assert kinds.count("select") <= 10
    assert kinds.count("insert") <= 4
    tasks = await worker.claim_workflow_tasks(200)
    assert [task.instance_id for task in tasks] == ["plain", *(f"later-{number}" for number in range(100))]


async def test_what_a_claim_of_the_batch_takes_away_holds_nobody_up(store: StoreUnderTest) -> None:
    worker = await store.worker()
    await store.create("older")
    claimed, created = await asyncio.gather(worker.claim(), store.backend.commit(with_step(worker)))
    assert [task.instance_id for task in claimed.workflow_tasks] == ["older"]
    assert isinstance(created, Created)
    assert created.first is not None


async def test_what_ends_within_the_batch_holds_nobody_up(store: StoreUnderTest) -> None:
    """The head that was found is gone, and who is the next is asked again."""
    worker = await store.worker()
    await store.create("older")
    held_up, _, created = await asyncio.gather(
        store.backend.commit(with_step(worker, "before")),
        store.backend.commit(Terminate(instance_id="older")),
        store.backend.commit(with_step(worker, "after", start={"priority": 1})),
    )
    assert isinstance(held_up, Created)
    assert held_up.first is None
    assert isinstance(created, Created)
    assert created.first is not None


async def test_work_for_other_workers_holds_nobody_up(store: StoreUnderTest) -> None:
    worker = await store.worker()
    await store.create("elsewhere", queue="far away")
    await store.create("unknown", workflow="nobody knows it")
    await store.create("later", start_delay=3_600_000_000)
    (created,) = await begin(store, with_step(worker))
    assert created.first is not None


async def test_a_first_step_takes_the_place_of_an_ended_instance(store: StoreUnderTest) -> None:
    worker = await store.worker()
    await begin(store, with_step(worker, closing=builders.completed(), activities=()))
    (created,) = await begin(store, with_step(worker, start={"if_exists": IfExists.RESTART}))
    assert created.first is not None
    assert await rows(store, "select key, state from perdure_instances") == [(created.instance_key, 0)]
    assert await rows(store, "select count(*) from perdure_events") == [(1,)]


async def test_starts_whose_activities_have_to_wait_are_written_together(store: StoreUnderTest) -> None:
    worker = await store.worker()
    await store.create("older")
    await worker.run(activities=(builders.activity(),))  # nobody has it: what follows waits behind it
    statements = await traced(store)
    created = await begin(
        store, *(with_step(worker, f"order-{number}", activities=(builders.activity(),)) for number in range(30))
    )
    assert [each.first.activities for each in created if each.first is not None] == [()] * 30
    assert len([statement for statement in statements if statement.startswith("insert")]) == 3
