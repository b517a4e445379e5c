"""What every store promises about terminate, suspend, resume and stuck instances."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.model.event import MarkedStuck, Resumed, Suspended, Terminated
from perdure.model.instance import State
from perdure.model.transition import Administered, NotAppended, Rejected, Resume, Suspend, Terminate
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest, names_of


class Administering:
    async def test_terminate_ends_at_once(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(activities=(builders.activity(),))
        assert await store.backend.commit(Terminate(instance_id="order-1", reason="fraud")) == Administered()
        outcome = await store.backend.read_outcome("order-1")
        assert outcome is not None
        assert (outcome.state, outcome.reason, outcome.result) == (State.TERMINATED, "fraud", None)
        instance = await store.backend.read_instance("order-1")
        assert instance.ended_at is not None
        assert (instance.worker, instance.due_at) == (None, None)
        last = (await store.backend.read_history("order-1"))[-1]
        assert isinstance(last.event, Terminated)
        assert (last.position, last.event.reason) == (1, "fraud")
        claimed = await worker.claim()
        assert (claimed.workflow_tasks, claimed.activity_tasks) == ((), ())

    async def test_terminate_repeated_is_success(self, store: StoreUnderTest) -> None:
        """B4: done, or so already."""
        await store.create("order-1")
        outcomes = await asyncio.gather(*(store.backend.commit(Terminate(instance_id="order-1")) for _ in range(3)))
        assert outcomes == [Administered()] * 3
        assert len(await store.backend.read_history("order-1")) == 1

    @pytest.mark.parametrize("kind", [Terminate, Suspend, Resume])
    async def test_operators_are_told_of_the_ended_and_the_missing(self, store: StoreUnderTest, kind: Any) -> None:
        await store.finished(await store.worker(), "order-1")
        assert await store.backend.commit(kind(instance_id="order-1")) == NotAppended(State.COMPLETED)
        assert await store.backend.commit(kind(instance_id="nobody")) == NotAppended(None)

    @pytest.mark.parametrize("kind", [Terminate, Suspend])
    async def test_an_operator_overtakes_a_task_that_is_out(self, store: StoreUnderTest, kind: Any) -> None:
        """B2: it takes the next history position, so that a cached checkpoint is rejected."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await store.backend.commit(kind(instance_id="order-1"))
        assert isinstance(await worker.try_checkpoint(task, activities=(builders.activity(),)), Rejected)
        assert list(await store.backend.read_activities("order-1")) == []
        assert (await store.backend.read_instance("order-1")).history_length == 1

    async def test_terminate_and_a_checkpoint_side_by_side_agree(self, store: StoreUnderTest) -> None:
        """B2: one history, whichever came first."""
        worker = await store.worker()
        for number in range(20):
            name = f"order-{number}"
            await store.create(name)
            task = await worker.claim_workflow_task()
            checkpointed, terminated = await asyncio.gather(
                worker.try_checkpoint(task), store.backend.commit(Terminate(instance_id=name))
            )
            assert terminated == Administered()
            history = await store.backend.read_history(name)
            assert [event.position for event in history] == list(range(len(history)))
            assert len(history) == (1 if isinstance(checkpointed, Rejected) else 2)
            assert isinstance(history[-1].event, Terminated)

    async def test_a_suspended_instance_keeps_what_arrives(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        attempt_task = await worker.run(activities=(builders.activity(),))
        attempt = await worker.claim_activity()
        await store.backend.commit(Suspend(instance_id="order-1"))
        assert (await store.backend.read_instance("order-1")).suspended
        await store.signal("order-1", "while suspended")
        await worker.complete(attempt)
        assert await worker.claim_workflow_tasks() == ()
        await worker.release(attempt_task)
        assert await store.backend.commit(Resume(instance_id="order-1")) == Administered()
        assert not (await store.backend.read_instance("order-1")).suspended
        task = await worker.claim_workflow_task()
        assert names_of(task) == ["while suspended", "ActivityCompleted"]
        assert task.position == 3
        events = [type(event.event) for event in await store.backend.read_history("order-1")]
        assert events[1:] == [Suspended, Resumed]
        await worker.checkpoint(task)

    async def test_suspended_before_its_first_task_it_still_starts(self, store: StoreUnderTest) -> None:
        """The history then begins with administrative events; the start is pending all the same."""
        await store.create("order-1")
        await store.backend.commit(Suspend(instance_id="order-1"))
        worker = await store.worker()
        assert await worker.claim_workflow_tasks() == ()
        await store.backend.commit(Resume(instance_id="order-1"))
        task = await worker.claim_workflow_task()
        assert (task.position, names_of(task)) == (2, ["ExecutionStarted"])
        await worker.checkpoint(task)
        await store.signal("order-1")
        assert names_of(await worker.claim_workflow_task()) == ["approval"]

    async def test_suspend_and_resume_are_said_once(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        for kind in (Resume, Suspend, Suspend, Resume, Resume):
            assert await store.backend.commit(kind(instance_id="order-1")) == Administered()
        events = [type(event.event) for event in await store.backend.read_history("order-1")]
        assert events == [Suspended, Resumed]

    async def test_no_activity_attempt_begins_while_suspended(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(activities=(builders.activity(),))
        await store.backend.commit(Suspend(instance_id="order-1"))
        assert await worker.claim_activities() == ()
        await store.backend.commit(Resume(instance_id="order-1"))
        assert len(await worker.claim_activities()) == 1

    async def test_a_timer_due_while_suspended_fires_on_resume(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker(lease=1000)
        task = await worker.claim_workflow_task()
        await worker.checkpoint(task, next_timer_at=task.now + store.micros(1), release=True)
        await store.backend.commit(Suspend(instance_id="order-1"))
        await store.advance(2)
        assert await worker.claim_workflow_tasks() == ()
        await store.backend.commit(Resume(instance_id="order-1"))
        assert (await worker.claim_workflow_task()).pending == ()

    async def test_a_suspended_instance_that_nothing_awaits_stays_idle_on_resume(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(release=True)
        await store.backend.commit(Suspend(instance_id="order-1"))
        await store.backend.commit(Resume(instance_id="order-1"))
        assert (await store.backend.read_instance("order-1")).due_at is None

    async def test_a_stuck_instance_says_why_and_goes_on(self, store: StoreUnderTest) -> None:
        """E4: nothing is lost, and it runs on after a fix."""
        await store.create("order-1")
        worker = await store.worker(lease=1000)
        task = await worker.claim_workflow_task()
        assert await worker.mark_stuck(task, store.micros(2), "no such code") is True
        instance = await store.backend.read_instance("order-1")
        assert instance.state is State.RUNNING
        assert instance.stuck is not None
        assert (instance.stuck.reason, instance.stuck.attempts) == ("no such code", 1)
        assert instance.stuck.retry_at == instance.due_at is not None
        assert instance.worker is None
        assert await worker.claim_workflow_tasks() == ()
        await store.advance(2.2)
        again = await worker.claim_workflow_task()
        assert (again.pending, again.position, again.stuck_attempts) == (task.pending, 1, 1)
        assert isinstance((await store.backend.read_history("order-1"))[0].event, MarkedStuck)
        await worker.checkpoint(again)
        assert (await store.backend.read_instance("order-1")).stuck is None

    async def test_attempts_of_a_stuck_instance_count_up_until_it_goes_on(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        for number in range(3):
            task = await worker.claim_workflow_task()
            assert task.stuck_attempts == number
            await worker.mark_stuck(task, 0)
        await worker.run()
        await store.signal("order-1")
        assert (await worker.claim_workflow_task()).stuck_attempts == 0

    async def test_without_a_retry_a_stuck_instance_waits_for_resume(self, store: StoreUnderTest) -> None:
        """E4: what arrives meanwhile is kept, and wakes it no more than time does."""
        await store.create("order-1")
        worker = await store.worker(lease=1000)
        await worker.mark_stuck(await worker.claim_workflow_task(), None)
        instance = await store.backend.read_instance("order-1")
        assert instance.stuck is not None
        assert instance.stuck.retry_at is None
        await store.signal("order-1")
        await store.advance(5)
        assert await worker.claim_workflow_tasks() == ()
        assert await store.backend.commit(Resume(instance_id="order-1")) == Administered()
        assert names_of(await worker.claim_workflow_task()) == ["ExecutionStarted", "approval"]

    async def test_a_stuck_instances_retry_is_not_hurried_by_events(self, store: StoreUnderTest) -> None:
        """E4: a stuck task is tried again after its delay, and at once on resume."""
        await store.create("order-1")
        worker = await store.worker()
        await worker.mark_stuck(await worker.claim_workflow_task(), store.micros(1000))
        await store.signal("order-1")
        assert await worker.claim_workflow_tasks() == ()
        await store.backend.commit(Resume(instance_id="order-1"))
        assert len(await worker.claim_workflow_tasks()) == 1

    async def test_only_the_holder_can_mark_stuck(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await worker.release(task)
        assert await worker.mark_stuck(task, None) is False
        assert (await store.backend.read_instance("order-1")).stuck is None

    async def test_a_stuck_instance_can_be_terminated(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.mark_stuck(await worker.claim_workflow_task(), None)
        assert await store.backend.commit(Terminate(instance_id="order-1")) == Administered()
        instance = await store.backend.read_instance("order-1")
        assert (instance.state, instance.stuck) == (State.TERMINATED, None)
