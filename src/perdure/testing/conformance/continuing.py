"""What every store promises about continue-as-new."""

from __future__ import annotations

import msgspec

from perdure.model.checkpoint import CancelActivity
from perdure.model.event import ExecutionStarted, SubWorkflowCompleted
from perdure.model.instance import State
from perdure.model.options import ParentClose
from perdure.model.transition import Recorded, Rejected, Terminate
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest, names_of


class Continuing:
    async def test_the_next_execution_begins_with_an_empty_history(self, store: StoreUnderTest) -> None:
        created = await store.create("order-1")
        worker = await store.worker()
        closing = builders.continued(workflow="ship", arguments=b"[9]")
        await worker.run(builders.marked(), closing=closing)
        assert closing.following is not None
        task = await worker.claim_workflow_task()
        assert (task.instance_key, task.execution_id) == (created.instance_key, closing.following.execution_id)
        assert (task.workflow, task.position, task.history_bytes) == ("ship", 0, 0)
        event = task.pending[0].event
        assert isinstance(event, ExecutionStarted)
        assert (event.arguments, event.execution_number) == (b"[9]", 2)
        assert await store.backend.read_arguments("order-1") == b"[9]"
        instance = await store.backend.read_instance("order-1")
        assert (instance.state, instance.workflow, instance.execution_number) == (State.RUNNING, "ship", 2)
        assert (instance.history_length, instance.history_bytes) == (0, 0)

    async def test_the_chain_can_be_read(self, store: StoreUnderTest) -> None:
        created = await store.create("order-1")
        worker = await store.worker()
        for number in (2, 3):
            await worker.run(builders.marked(number), closing=builders.continued(number))
        await worker.run(closing=builders.completed())
        chain = await store.backend.read_executions("order-1")
        assert [(some.number, some.state, some.history_length) for some in chain] == [
            (1, State.CONTINUED_AS_NEW, 3),
            (2, State.CONTINUED_AS_NEW, 3),
            (3, State.COMPLETED, 2),
        ]
        assert chain[0].execution_id == created.execution_id.hex()
        assert all(some.ended_at is not None for some in chain)
        for some in chain:
            history = await store.backend.read_history("order-1", execution_id=some.execution_id)
            assert [event.position for event in history] == list(range(some.history_length))
            key = created.instance_key
            assert list(await store.backend.read_events(key, bytes.fromhex(some.execution_id))) == list(history)
        assert len(await store.backend.read_history("order-1")) == 2

    async def test_signals_and_cancels_that_came_late_go_on(self, store: StoreUnderTest) -> None:
        """B5; the trap "signals lost at continue-as-new": they belong to the instance."""
        await store.create("order-1", "first")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await store.signal("order-1", "second")
        await store.cancel("order-1")
        await worker.checkpoint(task, closing=builders.continued())
        following = await worker.claim_workflow_task()
        assert [(pending.id, name) for pending, name in zip(following.pending, names_of(following), strict=True)] == [
            (0, "ExecutionStarted"),
            (2, "second"),
            (3, "CancelRequested"),
        ]
        await store.signal("order-1", "third")
        await worker.checkpoint(following)
        assert [pending.id for pending in (await worker.claim_workflow_task()).pending] == [4]

    async def test_updates_that_came_late_go_on(self, store: StoreUnderTest) -> None:
        """B5: they are the instance's, as signals are."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        update = builders.append_update("order-1")
        await store.backend.commit(update)
        await worker.checkpoint(task, closing=builders.continued())
        (_, pending) = (await worker.claim_workflow_task()).pending
        assert msgspec.structs.replace(pending.event, at=0) == update.event

    async def test_signals_not_consumed_go_on(self, store: StoreUnderTest) -> None:
        await store.create("order-1", "read", "unread")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await worker.checkpoint(
            task, events=(task.pending[0].event, task.pending[1].event), consumed=(1,), closing=builders.continued()
        )
        assert names_of(await worker.claim_workflow_task()) == ["ExecutionStarted", "unread"]

    async def test_results_stay_with_the_execution(self, store: StoreUnderTest) -> None:
        """B5: results belong to the execution."""
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(activities=(builders.activity(1), builders.activity(2), builders.activity(3)))
        first, second = await worker.claim_activities(2)
        await store.signal("order-1", "now")
        task = await worker.claim_workflow_task()
        await worker.complete(first)
        await worker.checkpoint(task, closing=builders.continued())
        assert await worker.complete(second) == Recorded()
        assert names_of(await worker.claim_workflow_task()) == ["ExecutionStarted"]
        assert await worker.claim_activities() == ()
        assert list(await store.backend.read_activities("order-1")) == []

    async def test_a_number_used_again_is_another_activity(self, store: StoreUnderTest) -> None:
        """The next execution counts its commands from 1 too; the former one's activity must not answer for it."""
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(activities=(builders.activity(1),))
        old = await worker.claim_activity()
        await store.signal("order-1")
        await worker.run(closing=builders.continued())
        await worker.run(activities=(builders.activity(1),))
        assert await worker.complete(old) == Recorded()
        assert await worker.claim_workflow_tasks() == ()
        new = await worker.claim_activity()
        await worker.complete(new)
        assert names_of(await worker.claim_workflow_task()) == ["ActivityCompleted"]

    async def test_a_cancel_of_the_new_number_leaves_the_old_one(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(activities=(builders.activity(1),))
        await worker.claim_activity()
        await store.signal("order-1")
        await worker.run(closing=builders.continued())
        task = await worker.run(activities=(builders.activity(1),))
        cancel = (CancelActivity(1, told=True),)
        await worker.checkpoint(task, position=1, events=(), consumed=(), cancelled_activities=cancel)
        assert (await worker.claim()).told == ()

    async def test_a_late_checkpoint_of_the_former_execution_is_rejected(self, store: StoreUnderTest) -> None:
        """B2, B3."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(builders.marked(), closing=builders.continued())
        assert isinstance(await worker.try_checkpoint(task, position=3), Rejected)

    async def test_a_checkpoint_delivered_twice_never_lands_in_the_next_execution(self, store: StoreUnderTest) -> None:
        """B2, B3: both histories have a position 0; the simulation found it."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        written = await worker.checkpoint(task, position=0, closing=builders.continued(), offer=worker.offer())
        assert written.workflow_task is not None
        assert isinstance(await worker.try_checkpoint(task, position=0), Rejected)
        await worker.checkpoint(written.workflow_task, closing=builders.completed())

    async def test_the_next_task_comes_back_with_the_commit(self, store: StoreUnderTest) -> None:
        """B2: hand-back."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        written = await worker.checkpoint(task, closing=builders.continued(), offer=worker.offer())
        assert written.workflow_task is not None
        assert written.workflow_task.position == 0
        assert written.workflow_task.token != task.token
        await worker.checkpoint(written.workflow_task, closing=builders.completed())

    async def test_a_cancel_to_the_id_reaches_who_runs_now(self, store: StoreUnderTest) -> None:
        """The trap "cancel addressed to an execution that has continued"."""
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(closing=builders.continued())
        await worker.run()
        await store.cancel("order-1")
        assert names_of(await worker.claim_workflow_task()) == ["CancelRequested"]

    async def test_a_parent_hears_of_the_end_of_the_chain(self, store: StoreUnderTest) -> None:
        """W9: parents follow the chain; the trap "waiting that stops at the first continued execution"."""
        await store.create("parent")
        worker = await store.worker()
        await worker.run(messages=(builders.sub_workflow("child", 5),))
        await worker.run(closing=builders.continued(workflow="ship"))
        assert (await store.backend.read_instance("child")).parent is not None
        assert names_of(await worker.claim_workflow_task()) == ["ExecutionStarted"]
        child = await store.backend.read_instance("child")
        assert child.execution_number == 2
        await worker.stop()
        other = await store.worker("worker-2")
        await other.run(closing=builders.completed(b"7"))
        event = (await other.claim_workflow_task()).pending[0].event
        assert isinstance(event, SubWorkflowCompleted)
        assert (event.number, event.result) == (5, b"7")

    async def test_a_parent_that_has_continued_hears_of_no_former_child(self, store: StoreUnderTest) -> None:
        """A result belongs to the execution that started the child."""
        await store.create("parent")
        worker = await store.worker()
        child = builders.sub_workflow("child", parent_close=ParentClose.ABANDON)
        await worker.run(messages=(child,), closing=builders.continued())
        tasks = {task.instance_id: task for task in await worker.claim_workflow_tasks()}
        await worker.checkpoint(tasks["parent"])
        await worker.checkpoint(tasks["child"], closing=builders.completed())
        assert await worker.claim_workflow_tasks() == ()

    async def test_published_values_belong_to_the_instance(self, store: StoreUnderTest) -> None:
        """W4."""
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(published={"step": b"1"}, closing=builders.continued())
        assert await store.backend.read_published("order-1", "step") == b"1"

    async def test_the_end_comes_with_the_last_execution(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(closing=builders.continued())
        assert await store.backend.read_outcome("order-1") is None
        await store.backend.commit(Terminate(instance_id="order-1"))
        states = [some.state for some in await store.backend.read_executions("order-1")]
        assert states == [State.CONTINUED_AS_NEW, State.TERMINATED]
