"""What every store promises about sub-workflows: their start, their ends, and what becomes of them with their parent."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.clock import random_id
from perdure.model.checkpoint import Closing
from perdure.model.event import CancelRequested, SubWorkflowCompleted, SubWorkflowFailed
from perdure.model.instance import Parent, State
from perdure.model.options import IfExists, ParentClose
from perdure.model.task import WorkflowTask
from perdure.model.transition import Administered, Created, Terminate
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import PlayedWorker, StoreUnderTest, names_of


async def family(store: StoreUnderTest, worker: PlayedWorker, **changes: Any) -> tuple[WorkflowTask, WorkflowTask]:
    """A parent at position 1, and its child `child`, started by command 5, with a task that is out."""
    await store.create("parent")
    parent = await worker.run(messages=(builders.sub_workflow("child", 5, **changes),))
    return parent, await worker.claim_workflow_task()


class SubWorkflows:
    async def test_a_child_begins_with_the_checkpoint_that_starts_it(self, store: StoreUnderTest) -> None:
        """B5: delivered inside the checkpoint."""
        created = await store.create("parent")
        worker = await store.worker()
        message = builders.sub_workflow("child", 5, priority=2, version="1", tags={"a": "b"}, timeout=60_000_000)
        await worker.run(messages=(message,))
        task = await worker.claim_workflow_task()
        assert task.instance_id == "child"
        assert task.parent == Parent("parent", created.execution_id, 5)
        assert (task.execution_id, task.workflow, task.priority, task.version) == (
            message.execution_id,
            "ship",
            2,
            "1",
        )
        assert task.deadline_at == task.created_at + 60_000_000
        assert names_of(task) == ["ExecutionStarted"]
        child = await store.backend.read_instance("child")
        assert dict(child.tags) == {"a": "b"}

    async def test_a_childs_start_can_be_delayed(self, store: StoreUnderTest) -> None:
        await store.create("parent")
        worker = await store.worker(lease=1000)
        await worker.run(messages=(builders.sub_workflow("child", start_delay=store.micros(2)),))
        assert await worker.claim_workflow_tasks() == ()
        await store.advance(2.2)
        assert (await worker.claim_workflow_task()).instance_id == "child"

    async def test_a_completed_child_tells_its_parent(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        _, child = await family(store, worker)
        await worker.checkpoint(child, closing=builders.completed(b"42"))
        task = await worker.claim_workflow_task()
        event = task.pending[0].event
        assert isinstance(event, SubWorkflowCompleted)
        assert (task.instance_id, event.number, event.result) == ("parent", 5, b"42")

    async def test_a_failed_child_tells_its_parent_why(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        _, child = await family(store, worker)
        await worker.checkpoint(child, closing=builders.failed())
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, SubWorkflowFailed)
        assert (event.number, event.failure) == (5, builders.FAILURE)
        assert (event.cancelled, event.refused) == (False, False)

    async def test_a_cancelled_child_tells_its_parent_so(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        _, child = await family(store, worker)
        await worker.checkpoint(child, closing=builders.cancelled())
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, SubWorkflowFailed)
        assert (event.number, event.cancelled, event.refused) == (5, True, False)

    async def test_a_terminated_child_tells_its_parent_so(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await family(store, worker)
        await store.backend.commit(Terminate(instance_id="child", reason="fraud"))
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, SubWorkflowFailed)
        assert (event.number, event.cancelled, event.refused) == (5, False, False)
        assert "fraud" in event.failure.message

    async def test_a_child_past_its_deadline_tells_its_parent_so(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        await family(store, worker, timeout=store.micros(1))
        await store.advance(2)
        await store.backend.housekeep()
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, SubWorkflowFailed)
        assert event.failure.is_type("DeadlineExceeded")

    @pytest.mark.parametrize("state", ["running", "ended"])
    async def test_a_taken_id_is_refused(self, store: StoreUnderTest, state: str) -> None:
        """W11: a duplicate fails the parent's future, nothing else."""
        worker = await store.worker()
        await store.create("child")
        if state == "ended":
            await worker.run(closing=builders.completed())
        else:
            await worker.run()
        await store.create("parent")
        await worker.run(messages=(builders.sub_workflow("child", 5),))
        task = await worker.claim_workflow_task()
        event = task.pending[0].event
        assert isinstance(event, SubWorkflowFailed)
        assert (task.instance_id, event.number, event.refused) == ("parent", 5, True)
        assert (await store.backend.read_instance("child")).workflow == "checkout"

    async def test_an_instance_is_not_its_own_child(self, store: StoreUnderTest) -> None:
        await store.create("parent")
        worker = await store.worker()
        await worker.run(messages=(builders.sub_workflow("parent", 5),))
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, SubWorkflowFailed)
        assert event.refused

    async def test_two_children_of_one_id_in_one_checkpoint_are_one(self, store: StoreUnderTest) -> None:
        """B2: transitions of one instance in one batch."""
        await store.create("parent")
        worker = await store.worker()
        await worker.run(messages=(builders.sub_workflow("child", 1), builders.sub_workflow("child", 2)))
        tasks = {task.instance_id: task for task in await worker.claim_workflow_tasks()}
        assert tasks["child"].parent is not None
        assert tasks["child"].parent.number == 1
        event = tasks["parent"].pending[0].event
        assert isinstance(event, SubWorkflowFailed)
        assert (event.number, event.refused) == (2, True)

    async def test_a_start_sent_again_is_not_refused(self, store: StoreUnderTest) -> None:
        """B4, B5: the message id says that it is the same one."""
        await store.create("parent")
        worker = await store.worker()
        message = builders.sub_workflow("child", 5)
        parent = await worker.run(messages=(message,))
        await worker.checkpoint(parent, position=1, events=(), messages=(message,))
        assert [task.instance_id for task in await worker.claim_workflow_tasks()] == ["child"]

    async def test_a_retry_replaces_a_failed_child(self, store: StoreUnderTest) -> None:
        """W11: tried again as a new instance of the same id."""
        worker = await store.worker()
        parent, child = await family(store, worker)
        await worker.checkpoint(child, closing=builders.failed())
        again = builders.sub_workflow("child", 6, replaces_failed=True)
        await worker.run(messages=(again,))
        task = await worker.claim_workflow_task()
        assert (task.instance_id, task.execution_id) == ("child", again.execution_id)
        assert task.parent == Parent("parent", parent.execution_id, 6)

    async def test_a_retry_replaces_no_child_that_completed(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        _, child = await family(store, worker)
        await worker.checkpoint(child, closing=builders.completed())
        await worker.run(messages=(builders.sub_workflow("child", 6, replaces_failed=True),))
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, SubWorkflowFailed)
        assert event.refused

    async def test_a_parent_that_is_gone_is_told_nothing(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        parent, child = await family(store, worker, parent_close=ParentClose.ABANDON)
        await worker.checkpoint(parent, position=1, events=(), closing=builders.completed())
        await worker.checkpoint(child, closing=builders.completed())
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_new_instance_of_the_parents_id_is_not_the_parent(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        parent, child = await family(store, worker, parent_close=ParentClose.ABANDON)
        await worker.checkpoint(parent, position=1, events=(), closing=builders.completed())
        outcome = await store.backend.commit(builders.create("parent", if_exists=IfExists.RESTART))
        assert isinstance(outcome, Created)
        await worker.run()
        await worker.checkpoint(child, closing=builders.completed())
        assert await worker.claim_workflow_tasks() == ()


async def closes(store: StoreUnderTest, worker: PlayedWorker, parent: WorkflowTask, how: str) -> None:
    """Let the execution of the parent end, in each of the ways there are."""
    closings: dict[str, Closing] = {
        "completed": builders.completed(),
        "failed": builders.failed(),
        "cancelled": builders.cancelled(),
        "continued": builders.continued(),
    }
    if how in closings:
        await worker.checkpoint(parent, position=1, events=(), closing=closings[how])
    elif how == "terminated":
        assert await store.backend.commit(Terminate(instance_id="parent")) == Administered()
    else:
        await store.advance(6)
        assert (await store.backend.housekeep()).deadlines_passed == 1


ENDS = ("completed", "failed", "cancelled", "continued", "terminated", "deadline")


class ClosingParents:
    @pytest.mark.parametrize("how", ENDS)
    async def test_each_end_applies_parent_close(self, store: StoreUnderTest, how: str) -> None:
        """W10, W11: cancel, abandon and terminate, at each end, continue-as-new included."""
        await store.create("parent", timeout=store.micros(5))
        worker = await store.worker(lease=1000)
        children = tuple(
            builders.sub_workflow(close.value, number, parent_close=close)
            for number, close in enumerate(ParentClose, 1)
        )
        parent = await worker.run(messages=children)
        for task in await worker.claim_workflow_tasks():
            await worker.checkpoint(task)
        await closes(store, worker, parent, how)
        terminated = await store.backend.read_outcome("terminate")
        assert terminated is not None
        assert terminated.state is State.TERMINATED
        assert await store.backend.read_outcome("abandon") is None
        tasks = {task.instance_id: task for task in await worker.claim_workflow_tasks()}
        assert set(tasks) == ({"cancel", "parent"} if how == "continued" else {"cancel"})
        (cancel,) = tasks["cancel"].pending
        assert isinstance(cancel.event, CancelRequested)
        if how == "continued":
            assert names_of(tasks["parent"]) == ["ExecutionStarted"]

    async def test_a_child_that_has_ended_is_left_alone(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        parent, child = await family(store, worker, parent_close=ParentClose.TERMINATE)
        await worker.checkpoint(child, closing=builders.completed())
        await worker.checkpoint(parent, position=1, events=(), closing=builders.completed())
        assert (await store.backend.read_instance("child")).state is State.COMPLETED

    async def test_a_child_of_a_former_execution_is_closed_once(self, store: StoreUnderTest) -> None:
        """Its execution has ended before: the end of the next one is none of its business."""
        worker = await store.worker()
        parent, child = await family(store, worker)
        await worker.checkpoint(child)
        await worker.checkpoint(parent, position=1, events=(), closing=builders.continued())
        tasks = {task.instance_id: task for task in await worker.claim_workflow_tasks()}
        assert names_of(tasks["child"]) == ["CancelRequested"]
        await worker.checkpoint(tasks["child"])
        await worker.checkpoint(tasks["parent"], closing=builders.completed())
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_child_started_by_the_last_checkpoint_is_closed_too(self, store: StoreUnderTest) -> None:
        """W10: commands already issued are recorded."""
        await store.create("parent")
        worker = await store.worker()
        await worker.run(messages=(builders.sub_workflow("child"),), closing=builders.completed())
        assert names_of(await worker.claim_workflow_task()) == ["ExecutionStarted", "CancelRequested"]

    async def test_termination_goes_down_the_whole_tree(self, store: StoreUnderTest) -> None:
        await store.create("level-0")
        worker = await store.worker()
        for level in range(1, 30):
            child = builders.sub_workflow(f"level-{level}", parent_close=ParentClose.TERMINATE)
            await worker.run(messages=(child,))
        await store.backend.commit(Terminate(instance_id="level-0"))
        assert await store.backend.count_instances() == {State.TERMINATED: 30}
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_termination_ends_in_a_cancel_where_the_tree_says_so(self, store: StoreUnderTest) -> None:
        await store.create("parent")
        worker = await store.worker()
        await worker.run(messages=(builders.sub_workflow("child", parent_close=ParentClose.TERMINATE),))
        await worker.run(messages=(builders.sub_workflow("grandchild"),))
        await worker.run()
        await store.backend.commit(Terminate(instance_id="parent"))
        task = await worker.claim_workflow_task()
        assert (task.instance_id, names_of(task)) == ("grandchild", ["CancelRequested"])


class Messaging:
    async def test_a_signal_to_another_instance_is_delivered_and_answered(self, store: StoreUnderTest) -> None:
        """B5: in the sender's own transaction."""
        await store.create("target")
        worker = await store.worker()
        await worker.run()
        await store.create("sender")
        await worker.run(messages=(builders.send_signal("target", 3),))
        tasks = {task.instance_id: task for task in await worker.claim_workflow_tasks()}
        assert names_of(tasks["target"]) == ["approval"]
        assert names_of(tasks["sender"]) == ["SignalDelivered"]
        assert getattr(tasks["sender"].pending[0].event, "number", None) == 3

    @pytest.mark.parametrize("target", ["nobody", "ended"])
    async def test_a_signal_to_nobody_is_refused(self, store: StoreUnderTest, target: str) -> None:
        """B5: the event to send back if it is refused."""
        worker = await store.worker()
        await store.finished(worker, "ended")
        await store.create("sender")
        await worker.run(messages=(builders.send_signal(target, 3),))
        task = await worker.claim_workflow_task()
        assert (task.instance_id, names_of(task)) == ("sender", ["SignalRefused"])

    async def test_a_message_sent_again_is_delivered_once(self, store: StoreUnderTest) -> None:
        """B5: receivers remember ids."""
        await store.create("target")
        worker = await store.worker()
        await worker.run()
        await store.create("sender")
        message = builders.send_signal("target", 3)
        sender = await worker.run(messages=(message,))
        await worker.checkpoint(sender, position=1, events=(), messages=(message,))
        tasks = {task.instance_id: task for task in await worker.claim_workflow_tasks()}
        assert names_of(tasks["target"]) == ["approval"]

    async def test_an_instance_can_signal_itself(self, store: StoreUnderTest) -> None:
        """B2: two changes of one row in one transition."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        written = await worker.checkpoint(task, messages=(builders.send_signal("order-1", 1),), offer=worker.offer())
        assert written.workflow_task is not None
        assert sorted(names_of(written.workflow_task)) == ["SignalDelivered", "approval"]
        assert [pending.id for pending in written.workflow_task.pending] == [1, 2]

    async def test_a_signal_to_itself_crosses_continue_as_new(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(messages=(builders.send_signal("order-1", 1),), closing=builders.continued())
        assert names_of(await worker.claim_workflow_task()) == ["ExecutionStarted", "approval"]

    async def test_many_messages_to_one_instance_keep_their_order(self, store: StoreUnderTest) -> None:
        await store.create("target")
        worker = await store.worker()
        await worker.run()
        await store.create("sender")
        messages = tuple(
            builders.send_signal("target", number, signal=builders.signal(f"signal-{number}"))
            for number in range(1, 21)
        )
        await worker.run(messages=messages)
        tasks = {task.instance_id: task for task in await worker.claim_workflow_tasks()}
        assert names_of(tasks["target"]) == [f"signal-{number}" for number in range(1, 21)]
        assert [pending.id for pending in tasks["target"].pending] == list(range(1, 21))

    async def test_a_signal_ends_the_start_delay_of_its_target(self, store: StoreUnderTest) -> None:
        await store.create("target", start_delay=store.micros(1000))
        worker = await store.worker()
        await store.create("sender")
        await worker.run(messages=(builders.send_signal("target"),))
        tasks = {task.instance_id: task for task in await worker.claim_workflow_tasks()}
        assert names_of(tasks["target"]) == ["ExecutionStarted", "approval"]

    async def test_a_cancel_reaches_the_exact_child(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        parent, child = await family(store, worker)
        await worker.checkpoint(child)
        await worker.checkpoint(parent, position=1, events=(), messages=(builders.send_cancel("child", 5),))
        task = await worker.claim_workflow_task()
        assert (task.instance_id, names_of(task)) == ("child", ["CancelRequested"])

    async def test_a_cancel_reaches_nobody_else(self, store: StoreUnderTest) -> None:
        """B5: another command's child, another instance of that id, the ended and the missing are left alone."""
        worker = await store.worker()
        parent, child = await family(store, worker)
        await worker.checkpoint(child)
        await store.create("stranger")
        await worker.run()
        await store.finished(worker, "ended")
        cancels = (
            builders.send_cancel("child", 4),
            builders.send_cancel("stranger", 5),
            builders.send_cancel("ended", 5),
            builders.send_cancel("nobody", 5),
        )
        await worker.checkpoint(parent, position=1, events=(), messages=cancels)
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_cancel_reaches_a_child_that_has_continued(self, store: StoreUnderTest) -> None:
        """The trap "cancel addressed to an execution that has continued": also a parent's."""
        worker = await store.worker()
        parent, child = await family(store, worker)
        await worker.checkpoint(child, closing=builders.continued(workflow="ship"))
        await worker.run()
        await worker.checkpoint(parent, position=1, events=(), messages=(builders.send_cancel("child", 5),))
        assert names_of(await worker.claim_workflow_task()) == ["CancelRequested"]

    async def test_a_child_started_and_cancelled_at_once_hears_both(self, store: StoreUnderTest) -> None:
        await store.create("parent")
        worker = await store.worker()
        shared = random_id()
        messages = (builders.sub_workflow("child", 5), builders.send_cancel("child", 5, message_id=shared))
        await worker.run(messages=messages)
        assert names_of(await worker.claim_workflow_task()) == ["ExecutionStarted", "CancelRequested"]
