"""Group commit on SQLite: how few transactions and statements, and whom a bad transition harms."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from perdure.backends.sqlite import SqliteBackend
from perdure.backends.sqlite.tables import connection_of
from perdure.backends.unit.unit import Unit
from perdure.errors import StoreError
from perdure.model.event import SignalReceived
from perdure.model.instance import State
from perdure.model.transition import (
    Checkpointed,
    CompleteWorkflowTask,
    Created,
    Existing,
    FusedResult,
    NotAppended,
    Rejected,
)
from perdure.testing.conformance import StoreUnderTest, builders
from tests.backends.sqlite_helpers import commits, opened, traced


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[StoreUnderTest]:
    async with opened(tmp_path / "store.db") as store:
        yield store


async def test_what_many_callers_ask_at_once_is_one_transaction(store: StoreUnderTest) -> None:
    """B2"""
    before = commits(store)
    await asyncio.gather(*(store.create(f"order-{number}") for number in range(500)))
    assert commits(store) - before == 1


async def test_a_batch_is_bounded_in_number_and_bytes(store: StoreUnderTest) -> None:
    """B2"""
    before = commits(store)
    await asyncio.gather(*(store.create(f"order-{number}") for number in range(2500)))
    assert commits(store) - before == 3
    before = commits(store)
    large = [builders.signal(payload=bytes([number + 65]) * 1_000_000) for number in range(30)]
    await asyncio.gather(*(store.backend.commit(builders.append_signal("order-1", event=event)) for event in large))
    assert commits(store) - before == 4
    before = commits(store)
    start = builders.started(arguments=b"1" * 1_000_000)
    creations = (builders.create(f"large-{number}", started=start) for number in range(30))
    await asyncio.gather(*(store.backend.commit(creation) for creation in creations))
    assert commits(store) - before == 4


async def test_each_step_of_a_workflow_costs_one_commit(store: StoreUnderTest) -> None:
    """B2: create, claim, checkpoint with its activity handed back, fused end."""
    worker = await store.worker()
    counts = [commits(store)]
    await store.create()
    counts.append(commits(store))
    task = await worker.claim_workflow_task()
    counts.append(commits(store))
    done = await worker.checkpoint(task, offer=worker.offer(), activities=(builders.activity(),))
    counts.append(commits(store))
    fused = FusedResult(done.activities[0].activity_key, done.activities[0].token)
    end = builders.checkpoint(task, closing=builders.completed())
    end = type(end)(position=len(task.pending), events=end.events[-1:], closing=end.closing)
    await store.backend.commit(
        CompleteWorkflowTask(instance_key=task.instance_key, token=task.token, checkpoint=end, fused=(fused,))
    )
    counts.append(commits(store))
    assert [after - before for before, after in pairwise(counts)] == [1, 1, 1, 1]


async def test_cached_steps_of_two_hundred_workflows_take_a_handful_of_reads(store: StoreUnderTest) -> None:
    """F2: what is in memory isn't read again; rows are written by one statement for each kind of change."""
    worker = await store.worker()
    await asyncio.gather(*(store.create(f"order-{number}") for number in range(200)))
    tasks = await worker.claim_workflow_tasks(200)
    statements = await traced(store)
    await asyncio.gather(
        *(worker.checkpoint(task, offer=worker.offer(200), activities=(builders.activity(),)) for task in tasks)
    )
    kinds = [statement.split(None, 1)[0].lower() for statement in statements]
    assert kinds.count("select") <= 6
    assert kinds.count("insert") == 2  # an event row and an activity for each
    assert kinds.count("update") == 1
    assert kinds.count("delete") == 0


async def test_an_idle_claim_begins_no_transaction(store: StoreUnderTest) -> None:
    worker = await store.worker()
    statements = await traced(store)
    before = commits(store)
    claimed = await worker.claim()
    assert not claimed.workflow_tasks
    assert commits(store) == before
    assert not [statement for statement in statements if "begin" in statement.lower()]


async def test_every_transition_of_a_batch_has_its_own_outcome(store: StoreUnderTest) -> None:
    """B2"""
    await store.create("taken")
    worker = await store.worker()
    task = await worker.claim_workflow_task()
    before = commits(store)
    outcomes = await asyncio.gather(
        store.backend.commit(builders.create("new")),
        store.backend.commit(builders.create("taken")),
        store.backend.commit(builders.append_signal("nobody")),
        worker.try_checkpoint(task, token=task.token ^ 1),
        worker.try_checkpoint(task),
    )
    assert [type(outcome) for outcome in outcomes] == [Created, Existing, NotAppended, Rejected, Checkpointed]
    assert commits(store) - before <= 2  # the first one may go over alone


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param({"priority": 2**70}, id="a number that only the database refuses"),
        pytest.param({"instance_id": "half a pair \ud800"}, id="a text that isn't Unicode"),
        pytest.param({"tags": {"a": object()}}, id="a value that can't be encoded"),
    ],
)
async def test_a_transition_that_cannot_be_written_fails_alone(
    store: StoreUnderTest, poison: dict[str, object]
) -> None:
    """B2"""
    good = [store.backend.commit(builders.create(f"order-{number}")) for number in range(100)]
    bad = store.backend.commit(builders.create(**{"instance_id": "bad", **poison}))  # type: ignore[arg-type]
    *outcomes, error = await asyncio.gather(*good[:50], *good[50:], bad, return_exceptions=True)
    assert all(isinstance(outcome, Created) for outcome in outcomes)
    assert isinstance(error, StoreError)
    assert "repeating it won't help" in str(error)
    assert await store.backend.count_instances() == {State.RUNNING: 100}


async def test_a_rejected_transition_writes_nothing(store: StoreUnderTest) -> None:
    worker = await store.worker()
    await store.create()
    task = await worker.claim_workflow_task()
    statements = await traced(store)
    outcome = await worker.try_checkpoint(task, token=1, activities=(builders.activity(),))
    assert isinstance(outcome, Rejected)
    assert {statement.split()[0].lower() for statement in statements} <= {"begin", "commit", "pragma", "select"}


async def test_rows_are_read_again_after_somebody_else_has_written(store: StoreUnderTest, tmp_path: Path) -> None:
    """The rows in memory are good for as long as this connection writes alone."""
    worker = await store.worker()
    await store.create()
    task = await worker.claim_workflow_task()
    with sqlite3.connect(tmp_path / "store.db") as stranger:
        stranger.execute("update perdure_instances set token = 5")
    stranger.close()
    assert isinstance(await worker.try_checkpoint(task), Rejected)


async def test_a_row_that_cannot_be_read_harms_its_own_instance_alone(
    store: StoreUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    """E4"""
    worker = await store.worker()
    for name in ("one", "two", "three"):
        await store.create(name)
        await store.signal(name)

    def damage(unit: Unit) -> None:
        unit.flush()
        connection_of(unit).execute(
            "update perdure_pending set event = x'c1' where instance_key = "
            "(select key from perdure_instances where instance_id = 'two')"
        )
        connection_of(unit).execute("update perdure_instances set started = x'c1' where instance_id = 'three'")
        unit.rows_changed()

    assert isinstance(store.backend, SqliteBackend)
    await store.backend._write(damage)
    tasks = await worker.claim_workflow_tasks()
    assert [task.instance_id for task in tasks] == ["one"]
    for name in ("two", "three"):
        instance = await store.backend.read_instance(name)
        assert instance.stuck is not None
        assert instance.stuck.reason.startswith("StoreCorrupt: ")
        assert "can't be read" in instance.stuck.reason
        assert instance.stuck.retry_at is not None
    told = {record.__dict__["instance_id"]: record.message for record in caplog.records}
    assert sorted(told) == ["three", "two"]
    assert "two is stuck: a pending event can't be read" in told["two"]
    assert "restore the store from a back-up" in told["two"]


async def test_an_unreadable_activity_makes_its_instance_stuck_and_nobody_elses(store: StoreUnderTest) -> None:
    """E4"""
    worker = await store.worker()
    for name in ("one", "two"):
        await store.create(name)
        await worker.run(activities=(builders.activity(),))

    def damage(unit: Unit) -> None:
        unit.flush()
        connection_of(unit).execute(
            "update perdure_activities set body = x'c1' where instance_key = "
            "(select key from perdure_instances where instance_id = 'one')"
        )
        unit.rows_changed()

    assert isinstance(store.backend, SqliteBackend)
    await store.backend._write(damage)
    assert [task.instance_id for task in await worker.claim_activities()] == ["two"]
    assert (await store.backend.read_instance("one")).stuck is not None


async def test_a_cancelled_caller_takes_nothing_back(store: StoreUnderTest) -> None:
    create = asyncio.ensure_future(store.backend.commit(builders.create()))
    await asyncio.sleep(0)
    create.cancel()
    await store.create("another")
    assert await store.backend.count_instances() == {State.RUNNING: 2}


async def test_pending_events_of_one_batch_are_numbered_without_gaps(store: StoreUnderTest) -> None:
    worker = await store.worker()
    await store.create()
    await asyncio.gather(*(store.signal(name=f"signal-{number}") for number in range(50)))
    task = await worker.claim_workflow_task()
    assert [pending.id for pending in task.pending] == list(range(51))
    names = [pending.event.name for pending in task.pending if isinstance(pending.event, SignalReceived)]
    assert names == [f"signal-{number}" for number in range(50)]


async def test_large_values_are_written_one_by_one(store: StoreUnderTest) -> None:
    """A prepared statement keeps the values that it was last given; for few bytes that is cheap."""
    await store.create()
    statements = await traced(store)
    large = builders.signal(payload=b"x" * 100_000)
    await asyncio.gather(*(store.backend.commit(builders.append_signal(event=large)) for _ in range(15)))
    inserts = [statement for statement in statements if statement.startswith("insert")]
    assert sum("perdure_pending" in statement for statement in inserts) == 15
    statements.clear()
    await asyncio.gather(*(store.signal() for _ in range(5)))
    assert sum("perdure_pending" in statement for statement in statements) == 1
