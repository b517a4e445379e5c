"""What a batch is on Redis: one script, all of it or nothing, refused if others have written what it had read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from perdure.backends.redis import tables
from perdure.errors import StoreError, StoreUsageError
from perdure.model.instance import State
from perdure.model.transition import Appended, Claimed, Created, Existing
from perdure.testing.conformance import StoreUnderTest, builders
from tests.backends.redis_helpers import Beside, beside, opened


@pytest.fixture
async def store() -> AsyncIterator[StoreUnderTest]:
    async with opened("redis") as store:
        yield store


@pytest.fixture
async def other(store: StoreUnderTest) -> AsyncIterator[Beside]:
    async with beside(store) as other:
        yield other


async def test_a_key_of_another_type_fails_the_batch_and_not_its_rest(store: StoreUnderTest, other: Beside) -> None:
    """Lua doesn't roll back: it looks at everything first."""
    await store.create("order-0")
    before = other.dump()
    await store.create("order-1")
    after = other.dump()
    changed = [key for key in after if key in before and before[key] != after[key]]
    assert len(changed) >= 4
    for number, key in enumerate(changed):
        other.client.set(key, "of another type")
        before = other.dump()
        with pytest.raises(StoreError):
            await store.backend.commit(builders.create(f"order-2-{number}"))
        assert other.dump() == before
        other.client.restore(key, 0, after[key], replace=True)
    assert isinstance(await store.backend.commit(builders.create("order-3")), Created)


async def test_a_server_that_has_forgotten_the_scripts_is_told_them_again(store: StoreUnderTest, other: Beside) -> None:
    await store.create("order-1")
    other.client.script_flush()
    worker = await store.worker()
    task = await worker.claim_workflow_task()
    await worker.checkpoint(task, closing=builders.completed())
    assert await store.backend.count_instances() == {State.COMPLETED: 1}


async def test_two_processes_create_one_instance(store: StoreUnderTest, other: Beside) -> None:
    starts = [builders.create("order-1", request_id=number.to_bytes(16)) for number in range(100)]
    outcomes = await asyncio.gather(
        *(some.commit(start) for start in starts for some in (store.backend, other.backend)),
    )
    assert len({outcome.execution_id for outcome in outcomes if isinstance(outcome, Created)}) == 1
    assert await store.backend.count_instances() == {State.RUNNING: 1}
    assert sum(isinstance(outcome, Existing) for outcome in outcomes) == 198


async def test_two_processes_signal_one_instance_and_all_arrive_once(store: StoreUnderTest, other: Beside) -> None:
    await store.create("order-1")
    outcomes = await asyncio.gather(
        *(some.commit(builders.append_signal("order-1")) for _ in range(100) for some in (store.backend, other.backend))
    )
    assert all(isinstance(outcome, Appended) for outcome in outcomes)
    worker = await store.worker()
    task = await worker.claim_workflow_task()
    assert [event.id for event in task.pending] == list(range(201))


async def test_two_processes_claim_each_task_once(store: StoreUnderTest, other: Beside) -> None:
    for number in range(60):
        await store.create(f"order-{number}")
    workers = [await some.worker(f"worker-{number}") for number, some in enumerate((store, other.store) * 2)]
    claims: list[Claimed] = []
    while len(claimed := [task.instance_id for claim in claims for task in claim.workflow_tasks]) < 60:
        claims += await asyncio.gather(*(worker.claim(5, 0) for worker in workers))
    assert len(set(claimed)) == len(claimed) == 60


async def test_what_was_not_claimed_may_be_claimed_at_once(store: StoreUnderTest, other: Beside) -> None:
    """A claim hides more than it takes, from others, and only as long as it lasts."""
    for number in range(10):
        await store.create(f"order-{number}")
    worker, late = await store.worker(), await other.store.worker("worker-2")
    await worker.claim(1, 0)
    assert len((await late.claim(20, 0)).workflow_tasks) == 9


async def test_a_worker_that_another_process_finds_dead_gets_nothing_more(store: StoreUnderTest, other: Beside) -> None:
    worker = await store.worker(lease=0.05)
    await store.create("order-1")
    await asyncio.sleep(0.06)  # its lease is that long
    assert (await other.backend.housekeep()).workers_lost == 1
    assert (await worker.claim()).workflow_tasks == ()
    assert not (await store.backend.beat(worker.key)).is_alive


async def test_a_step_of_an_execution_in_memory_is_one_command(store: StoreUnderTest, other: Beside) -> None:
    worker = await store.worker()
    await store.create("order-1")
    task = await worker.claim_workflow_task()
    offer = worker.offer(1)
    done = await worker.checkpoint(task, activities=(builders.activity(1),), offer=offer)
    position = (await store.backend.read_instance("order-1")).history_length

    async def step(number: int) -> Any:
        nonlocal done, position
        (attempt,) = done.activities
        fused = builders.fused(attempt.activity_key, attempt.token)
        done = await worker.checkpoint(
            task,
            builders.marked(number),
            position=position,
            events=(),
            fused=fused,
            activities=(builders.activity(number),),
            offer=offer,
        )
        position += 1

    await step(2)  # the first look at the queue
    commands = await other.commands_of(step(3))
    assert commands == ["EVALSHA"]


async def test_a_sealed_store_is_sealed_for_other_processes_at_once(store: StoreUnderTest, other: Beside) -> None:
    await store.create("order-1")
    await other.backend.read_instance("order-1")
    await other.backend.commit(builders.append_signal("order-1"))
    await store.backend.seal("postgresql://elsewhere/")
    with pytest.raises(StoreError, match="moved to postgresql://elsewhere/"):
        await other.backend.commit(builders.append_signal("order-1"))


async def test_more_than_redis_takes_at_once_is_refused_by_itself(
    store: StoreUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script has all that it writes as arguments: the limit is said, and what else is in the batch goes through."""
    monkeypatch.setattr(tables, "LARGEST_STEP", 1_000_000)
    large = builders.create("large", started=builders.started(arguments=b"x" * 1_000_001))
    refused, *others = await asyncio.gather(
        store.backend.commit(large), *(store.create(f"order-{number}") for number in range(3)), return_exceptions=True
    )
    assert isinstance(refused, StoreUsageError)
    assert "1,000,001 bytes in one step are more than Redis takes at once (1,000,000)" in str(refused)
    assert all(isinstance(other, Created) for other in others)
