"""What every store promises about checkpoints: fenced, whole, and in history as they were written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.errors import InstanceNotFound
from perdure.model.event import ActivityCompleted, ExecutionStarted
from perdure.model.transition import Checkpointed, Rejected
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest, names_of


class Checkpointing:
    async def test_what_leaves_no_trace_is_consumed_all_the_same(self, store: StoreUnderTest) -> None:
        """A refused update: no event, no position, and yet it doesn't come again."""
        await store.create("order-1")
        worker = await store.worker()
        await worker.run()
        await store.backend.commit(builders.append_update("order-1"))
        task = await worker.claim_workflow_task()
        outcome = await worker.checkpoint(task, events=())
        assert outcome == Checkpointed(events_bytes=0)
        assert [event.position for event in await store.backend.read_history("order-1")] == [0]
        assert await worker.claim_workflow_tasks() == ()
        await store.signal("order-1")
        assert names_of(await worker.claim_workflow_task()) == ["approval"]

    async def test_a_checkpoint_appends_its_events_to_history(self, store: StoreUnderTest) -> None:
        created = await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        written = await worker.checkpoint(task, builders.marked(1), builders.marked(2))
        expected = [task.pending[0].event, builders.marked(1), builders.marked(2)]
        history = await store.backend.read_events(created.instance_key, created.execution_id)
        assert [(event.position, event.event) for event in history] == list(enumerate(expected))
        instance = await store.backend.read_instance("order-1")
        assert (instance.history_length, instance.history_bytes) == (3, written.events_bytes)
        assert isinstance(history[0].event, ExecutionStarted)

    async def test_history_is_empty_before_the_first_checkpoint(self, store: StoreUnderTest) -> None:
        created = await store.create("order-1")
        await (await store.worker()).claim_workflow_task()
        assert list(await store.backend.read_events(created.instance_key, created.execution_id)) == []

    async def test_history_grows_by_one_checkpoint_after_the_other(self, store: StoreUnderTest) -> None:
        created = await store.create("order-1")
        worker = await store.worker()
        sizes = 0
        for number in range(5):
            task = await worker.claim_workflow_task()
            assert task.position == number * 2
            sizes += (await worker.checkpoint(task, builders.marked(number))).events_bytes
            await store.signal("order-1", f"signal-{number}")
        history = await store.backend.read_events(created.instance_key, created.execution_id)
        assert [event.position for event in history] == list(range(10))
        assert (await store.backend.read_instance("order-1")).history_bytes == sizes

    async def test_histories_that_are_asked_for_at_once_are_each_its_own(self, store: StoreUnderTest) -> None:
        """A worker that takes over from a dead one reads hundreds: none is mixed up with another, cut off, or kept from being read."""
        created = [await store.create(f"order-{number}") for number in range(80)]
        worker = await store.worker()
        tasks = {task.instance_key: task for task in await worker.claim_workflow_tasks(80)}
        long, new, gone_on = created[3], created[5], created[7]
        for number, one in enumerate(created):
            task = tasks[one.instance_key]
            events = [builders.marked(number)] * (1_100 if one is long else number % 4 + 1)
            if one is gone_on:
                await worker.checkpoint(task, *events, closing=builders.continued(2))
            elif one is not new:
                await worker.checkpoint(task, *events)
        wanted = [(one.instance_key, one.execution_id) for one in created]
        now = bytes.fromhex((await store.backend.read_instance("order-7")).execution_id)
        wanted += [(gone_on.instance_key, now), (created[-1].instance_key + 1_000_000, b"nobody"), wanted[0]]
        histories = await asyncio.gather(*(store.backend.read_events(*each) for each in wanted))
        for number, (one, history) in enumerate(zip(created, histories, strict=False)):
            assert [event.position for event in history] == list(range(len(history)))
            marked = [event.event for event in history if event.event == builders.marked(number)]
            length = 0 if one is new else 1_100 if one is long else number % 4 + 1
            assert (len(marked), len(history)) == (length, length and length + 1 + (one is gone_on))
        assert histories[80:82] == [[], []]
        assert histories[82] == histories[0]

    async def test_a_checkpoint_without_events_is_one_too(self, store: StoreUnderTest) -> None:
        """A cancelled timer may leave nothing to write but the time when the next one is due."""
        created = await store.create("order-1")
        worker = await store.worker()
        task = await worker.run()
        written = await worker.checkpoint(task, position=1, events=(), next_timer_at=task.now)
        assert written.events_bytes == 0
        assert (await worker.claim_workflow_task()).position == 1
        assert len(await store.backend.read_events(created.instance_key, created.execution_id)) == 1

    async def test_another_workers_token_is_rejected(self, store: StoreUnderTest) -> None:
        """B3."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        for token in (task.token + 1, 0, -1):
            assert isinstance(await worker.try_checkpoint(task, token=token), Rejected)
        assert (await store.backend.read_instance("order-1")).history_length == 0

    async def test_another_history_position_is_rejected(self, store: StoreUnderTest) -> None:
        """B3; the trap "a failed checkpoint leaving the cached execution ahead of the store"."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(builders.marked())
        for position in (0, 1, 3):
            outcome = await worker.try_checkpoint(task, position=position)
            assert isinstance(outcome, Rejected)
            assert outcome.reason
        assert isinstance(await worker.try_checkpoint(task, position=2), Checkpointed)

    async def test_a_checkpoint_repeated_is_rejected_and_writes_nothing_twice(self, store: StoreUnderTest) -> None:
        """B4: the answer was lost; the execution is read again."""
        created = await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(activities=(builders.activity(),))
        assert isinstance(await worker.try_checkpoint(task, activities=(builders.activity(),)), Rejected)
        assert len(await store.backend.read_events(created.instance_key, created.execution_id)) == 1
        assert len(await worker.claim_activities()) == 1

    async def test_of_two_checkpoints_side_by_side_one_is_written(self, store: StoreUnderTest) -> None:
        """B2, B3: the fence is taken by the write, also within one batch."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        outcomes = await asyncio.gather(
            worker.try_checkpoint(task, builders.marked(1)), worker.try_checkpoint(task, builders.marked(2))
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Checkpointed", "Rejected"]
        assert (await store.backend.read_instance("order-1")).history_length == 2

    async def test_an_instance_without_a_lease_takes_no_checkpoint(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(release=True)
        assert isinstance(await worker.try_checkpoint(task, position=1), Rejected)
        assert (await store.backend.read_instance("order-1")).worker is None

    async def test_an_ended_instance_takes_no_checkpoint(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(closing=builders.completed())
        length = (await store.backend.read_instance("order-1")).history_length
        assert isinstance(await worker.try_checkpoint(task, position=length, events=()), Rejected)

    async def test_an_instance_that_is_gone_takes_no_checkpoint(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        outcome = await worker.try_checkpoint(
            type(task)(**{**{name: getattr(task, name) for name in task.__struct_fields__}, "instance_key": 1})
        )
        assert isinstance(outcome, Rejected)

    @pytest.mark.parametrize("broken", ["token", "position", "fused"])
    async def test_a_rejected_checkpoint_leaves_nothing_at_all(self, store: StoreUnderTest, broken: str) -> None:
        """B3: a late completion is rejected as a whole."""
        await store.create("other")
        worker = await store.worker()
        await worker.run(release=True)
        await store.create("order-1")
        task = await worker.claim_workflow_task()
        ways: dict[str, dict[str, Any]] = {
            "token": {"token": task.token + 1},
            "position": {"position": 5},
            "fused": {"fused": builders.fused(12345, 678)},
        }
        outcome = await worker.try_checkpoint(
            task,
            activities=(builders.activity(),),
            messages=(builders.sub_workflow("child-1"), builders.send_signal("other")),
            published={"key": b"1"},
            closing=builders.completed(),
            **ways[broken],
        )
        assert isinstance(outcome, Rejected)
        assert await store.backend.read_outcome("order-1") is None
        assert await store.backend.read_published("order-1", "key") is None
        assert list(await store.backend.read_activities("order-1")) == []
        with pytest.raises(InstanceNotFound):
            await store.backend.read_instance("child-1")
        claimed = await (await store.worker("worker-2")).claim()
        assert (claimed.workflow_tasks, claimed.activity_tasks) == ((), ())

    async def test_after_a_rejection_the_instance_can_be_released_and_read_again(self, store: StoreUnderTest) -> None:
        """B3: a failed checkpoint releases the lease at once."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        assert isinstance(await worker.try_checkpoint(task, position=9), Rejected)
        assert await worker.release(task) is True
        assert (await (await store.worker("worker-2")).claim_workflow_task()).pending == task.pending

    async def test_a_fused_result_goes_with_its_checkpoint(self, store: StoreUnderTest) -> None:
        """B2: one cached step costs one commit."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(activities=(builders.activity(),))
        attempt = await worker.claim_activity()
        result = ActivityCompleted(at=attempt.now, number=1, result=b"7")
        await worker.checkpoint(
            task, position=1, events=(result,), consumed=(), fused=builders.fused(attempt.activity_key, attempt.token)
        )
        assert list(await store.backend.read_activities("order-1")) == []
        assert isinstance(await worker.complete(attempt), Rejected)
        assert (await worker.claim()).workflow_tasks == ()
        assert [event.event for event in await store.backend.read_history("order-1", after=0)] == [result]

    async def test_a_fused_result_whose_lease_is_lost_rejects_the_checkpoint(self, store: StoreUnderTest) -> None:
        """B3: each fused result's token must hold, or all is rejected."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(activities=(builders.activity(1), builders.activity(2)))
        first, second = await worker.claim_activities()
        tokens = (
            *builders.fused(first.activity_key, first.token),
            *builders.fused(second.activity_key, second.token + 1),
        )
        outcome = await worker.try_checkpoint(task, builders.marked(), position=1, events=(), fused=tokens)
        assert isinstance(outcome, Rejected)
        assert (await store.backend.read_instance("order-1")).history_length == 1
        assert len(await store.backend.read_activities("order-1")) == 2

    async def test_a_result_is_recorded_once_fused_or_not(self, store: StoreUnderTest) -> None:
        """A2: exactly one result; the same one sent both ways at once."""
        for number in range(10):
            await store.create(f"order-{number}")
            worker = await store.worker(f"worker-{number}")
            task = await worker.run(activities=(builders.activity(),))
            attempt = await worker.claim_activity()
            event = ActivityCompleted(at=0, number=1, result=b"1")
            token = builders.fused(attempt.activity_key, attempt.token)
            fused, alone = await asyncio.gather(
                worker.try_checkpoint(task, position=1, events=(event,), consumed=(), fused=token),
                worker.complete(attempt),
            )
            assert isinstance(fused, Rejected) is not isinstance(alone, Rejected)

    async def test_what_was_consumed_is_gone_and_what_came_late_stays(self, store: StoreUnderTest) -> None:
        """B5: events are deleted by id, never by cursor."""
        await store.create("order-1")
        await store.signal("order-1", "early")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await store.signal("order-1", "late")
        await worker.checkpoint(task)
        second = await worker.claim_workflow_task()
        assert [(pending.id, names_of(second)) for pending in second.pending] == [(2, ["late"])]
        await worker.checkpoint(second)
        assert await worker.claim_workflow_tasks() == ()

    async def test_what_was_not_consumed_stays(self, store: StoreUnderTest) -> None:
        """A checkpoint may leave out what it didn't apply, in the middle too."""
        await store.create("order-1", "a", "b", "c")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        events = tuple(task.pending[place].event for place in (0, 1, 3))
        await worker.checkpoint(task, events=events, consumed=(1, 3))
        assert names_of(await worker.claim_workflow_task()) == ["b"]

    async def test_the_start_is_pending_until_the_first_checkpoint(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        for _ in range(2):
            task = await worker.claim_workflow_task()
            assert [pending.id for pending in task.pending] == [0]
            await worker.release(task)
        await worker.run()
        await store.signal("order-1")
        assert [pending.id for pending in (await worker.claim_workflow_task()).pending] == [1]

    async def test_the_next_timer_makes_the_instance_due(self, store: StoreUnderTest) -> None:
        """B6; the trap "one due timer per task": the engine knows its timers, the store the next time alone."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        due_at = task.now + store.micros(2)
        await worker.checkpoint(task, next_timer_at=due_at)
        claimed = await worker.claim()
        assert claimed.workflow_tasks == ()
        assert claimed.next_due_at == due_at
        await store.advance(2.2)
        second = await worker.claim_workflow_task()
        assert second.pending == ()
        assert second.now >= due_at

    async def test_a_timer_of_a_released_instance_wakes_any_worker(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await worker.checkpoint(task, next_timer_at=task.now + store.micros(1), release=True)
        await store.advance(1.2)
        assert (await (await store.worker("worker-2")).claim_workflow_task()).position == 1

    async def test_a_timer_that_is_cancelled_wakes_nobody(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await worker.checkpoint(task, next_timer_at=task.now + store.micros(1))
        await worker.checkpoint(task, position=1, events=(), next_timer_at=None)
        await store.advance(1.5)
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_clock_that_jumps_back_fires_nothing_again(self, store: StoreUnderTest) -> None:
        """B7: nor does it take back what was due."""
        if not store.is_clock_manual:
            pytest.skip("the store has the machine's clock")
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await worker.checkpoint(task, next_timer_at=task.now + store.micros(10))
        await store.advance(11)
        await worker.run()
        await store.advance(-30)
        assert await worker.claim_workflow_tasks() == ()
        await store.create("order-2")
        assert len(await worker.claim_workflow_tasks()) == 1

    async def test_published_values_are_saved_with_the_checkpoint(self, store: StoreUnderTest) -> None:
        """W4: the last one wins; they are readable after the end."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(published={"step": b"1", "other": b"x"})
        assert await store.backend.read_published("order-1", "step") == b"1"
        await worker.checkpoint(task, position=1, events=(), published={"step": b"2"}, closing=builders.completed())
        assert await store.backend.read_published("order-1", "step") == b"2"
        assert await store.backend.read_published("order-1", "other") == b"x"
        assert await store.backend.read_published("order-1", "never") is None
