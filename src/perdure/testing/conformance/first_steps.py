"""What every store promises about starts whose first workflow task has been run already.

Such a start is one commit instead of three (F1): the instance is created, its first checkpoint written and its first
activities handed back at once. It is taken only where a plain start and the worker's claim would have come to the same.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.clock import to_micros
from perdure.model.event import CarriedSignal, ExecutionStarted
from perdure.model.inspection import HistoryEvent
from perdure.model.instance import State
from perdure.model.options import IfExists
from perdure.model.transition import Appended, Checkpointed, Created, Rejected
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest, names_of


def numbered(count: int, **changes: Any) -> tuple[object, ...]:
    return tuple(builders.activity(number, **changes) for number in range(1, count + 1))


async def history_of(store: StoreUnderTest, instance_id: str = "order-1") -> list[HistoryEvent]:
    return list(await store.backend.read_history(instance_id))


class FirstSteps:
    async def test_a_first_step_is_in_history_as_it_was_applied(self, store: StoreUnderTest) -> None:
        """E1, B7: the checkpoint's own events, with the time of their application."""
        worker = await store.worker()
        request = worker.start_request("order-1", builders.marked(1), builders.marked(2))
        created = await store.backend.commit(request)
        assert isinstance(created, Created)
        assert created.first is not None
        assert request.first_step is not None
        events = request.first_step.checkpoint.events
        history = await store.backend.read_events(created.instance_key, request.execution_id)
        assert [(event.position, event.event) for event in history] == list(enumerate(events))
        assert isinstance(history[0].event, ExecutionStarted)
        assert history[0].event.at == builders.STEPPED_AT
        instance = await store.backend.read_instance("order-1")
        assert to_micros(instance.created_at) == builders.STEPPED_AT  # as workflow code was told
        assert (instance.history_length, instance.history_bytes) == (3, created.first.events_bytes)
        assert instance.execution_id == created.execution_id.hex() == request.execution_id.hex()
        assert await store.backend.read_arguments("order-1") == b"[1]"

    async def test_the_worker_holds_what_it_began(self, store: StoreUnderTest) -> None:
        """B3: under a lease of its own, so that nobody else claims it, and nobody twice."""
        worker, other = await store.worker(), await store.worker("worker-2")
        await worker.begin("order-1", activities=numbered(1))
        assert (await store.backend.read_instance("order-1")).worker == "worker-1"
        assert await other.claim_workflow_tasks() == ()
        assert await worker.claim_workflow_tasks() == ()

    async def test_its_token_is_random(self, store: StoreUnderTest) -> None:
        """B3: 63 random bits, never a counter."""
        worker = await store.worker()
        tokens = [(await worker.begin(f"order-{number}")).created.token for number in range(20)]
        assert len(set(tokens)) == 20
        assert all(0 < token < 2**63 for token in tokens)
        assert sum(token > 2**55 for token in tokens) > 10
        assert sorted(tokens) != tokens

    async def test_its_activities_come_back_leased(self, store: StoreUnderTest) -> None:
        """B2: handed back as at any checkpoint."""
        worker = await store.worker()
        started = await worker.begin("order-1", activities=numbered(2))
        attempts = started.first.activities
        assert [(attempt.number, attempt.attempt, attempt.instance_id) for attempt in attempts] == [
            (1, 1, "order-1"),
            (2, 1, "order-1"),
        ]
        assert {attempt.instance_key for attempt in attempts} == {started.created.instance_key}
        assert {attempt.execution_id for attempt in attempts} == {started.created.execution_id}
        assert await (await store.worker("worker-2")).claim_activities() == ()

    async def test_its_token_takes_the_checkpoint_that_fuses_a_result(self, store: StoreUnderTest) -> None:
        """B2: one cached step costs one commit; a workflow with one activity costs two."""
        worker = await store.worker()
        started = await worker.begin("order-1", activities=numbered(1))
        (attempt,) = started.first.activities
        await worker.checkpoint(
            started.task, fused=builders.fused(attempt.activity_key, attempt.token), closing=builders.completed()
        )
        outcome = await store.backend.read_outcome("order-1")
        assert outcome is not None
        assert (outcome.state, outcome.result) == (State.COMPLETED, b'"done"')
        assert await store.backend.read_activities("order-1") in ((), [])
        assert isinstance(await worker.complete(attempt), Rejected)

    async def test_its_token_is_a_fence(self, store: StoreUnderTest) -> None:
        """B3: token and position, as for any lease."""
        worker = await store.worker()
        started = await worker.begin("order-1")
        for token, position in ((started.created.token + 1, 1), (0, 1), (None, 0), (None, 2)):
            late = await worker.try_checkpoint(started.task, token=token, position=position, events=())
            assert isinstance(late, Rejected)
        assert isinstance(await worker.try_checkpoint(started.task, events=()), Checkpointed)

    async def test_what_arrives_later_comes_to_its_worker(self, store: StoreUnderTest) -> None:
        """B3: it has the execution in memory, and the start stands in history."""
        worker, other = await store.worker(), await store.worker("worker-2")
        started = await worker.begin("order-1")
        await store.signal("order-1", "late")
        assert await other.claim_workflow_tasks() == ()
        task = await worker.claim_workflow_task()
        assert (task.token, task.position, names_of(task)) == (started.created.token, 1, ["late"])
        assert [pending.id for pending in task.pending] == [1]

    async def test_no_more_activities_come_back_than_were_offered(self, store: StoreUnderTest) -> None:
        """B2: free slots; the others wait for whoever claims."""
        worker, other = await store.worker(), await store.worker("worker-2")
        started = await worker.begin("order-1", activities=numbered(3), offer=worker.offer(1))
        assert [attempt.number for attempt in started.first.activities] == [1]
        assert [attempt.number for attempt in await other.claim_activities()] == [2, 3]

    async def test_older_activities_that_wait_hold_the_hand_back_up(self, store: StoreUnderTest) -> None:
        """B2: one admission; they don't hold up the step itself."""
        worker = await store.worker()
        await store.create("old")
        await worker.run(activities=numbered(1))
        started = await worker.begin("young", activities=numbered(1))
        assert started.first.activities == ()
        assert [attempt.instance_id for attempt in await worker.claim_activities()] == ["old", "young"]

    async def test_a_released_first_step_leaves_the_instance_to_anybody(self, store: StoreUnderTest) -> None:
        """E3: an execution that isn't kept in memory."""
        worker, other = await store.worker(), await store.worker("worker-2")
        started = await worker.begin("order-1", release=True, activities=numbered(1))
        assert started.created.token == 0
        assert (await store.backend.read_instance("order-1")).worker is None
        await worker.complete(started.first.activities[0])
        task = await other.claim_workflow_task()
        assert (task.position, names_of(task)) == (1, ["ActivityCompleted"])

    async def test_a_timer_of_the_first_step_is_due_in_time(self, store: StoreUnderTest) -> None:
        """B6: then, and not at once; a worker that holds the instance gets it, or anybody after a release."""
        worker, other = await store.worker(lease=1000), await store.worker("worker-2", lease=1000)
        begun = (await worker.claim()).now
        await worker.begin("held", next_timer_at=begun + store.micros(3))
        await worker.begin("released", next_timer_at=begun + store.micros(3), release=True)
        claimed = await other.claim()
        assert claimed.workflow_tasks == ()
        assert claimed.next_due_at == begun + store.micros(3)
        await store.advance(3.2)
        assert [task.instance_id for task in await other.claim_workflow_tasks()] == ["released"]
        task = await worker.claim_workflow_task()
        assert (task.instance_id, task.position, task.pending) == ("held", 1, ())

    @pytest.mark.parametrize("release", [False, True])
    async def test_a_first_step_may_be_the_last(self, store: StoreUnderTest, release: bool) -> None:
        """F1: a workflow that waits for nothing is one commit."""
        worker = await store.worker()
        completed = await worker.begin("completed", closing=builders.completed(b"7"), release=release)
        failed = await worker.begin("failed", closing=builders.failed(), release=release)
        assert (completed.created.token, failed.created.token) == (0, 0)
        outcome = await store.backend.wait_for_outcome("completed", 1)
        assert outcome is not None
        assert (outcome.state, outcome.result) == (State.COMPLETED, b"7")
        outcome = await store.backend.read_outcome("failed")
        assert outcome is not None
        assert (outcome.state, outcome.failure) == (State.FAILED, builders.FAILURE)
        assert (await store.backend.read_instance("completed")).worker is None
        assert await worker.claim_workflow_tasks() == ()
        assert len(await history_of(store, "completed")) == 2

    async def test_a_first_step_may_continue_as_new(self, store: StoreUnderTest) -> None:
        """W9: what it begins comes back, under a token of its own, or is due for whoever claims."""
        worker = await store.worker()
        kept = await worker.begin("kept", closing=builders.continued())
        following = kept.first.workflow_task
        assert following is not None
        assert (following.instance_id, following.position, names_of(following)) == ("kept", 0, ["ExecutionStarted"])
        assert following.token == kept.created.token
        assert following.execution_id != kept.created.execution_id
        left = await worker.begin("left", closing=builders.continued(), release=True)
        assert (left.created.token, left.first.workflow_task) == (0, None)
        task = await (await store.worker("worker-2")).claim_workflow_task()
        assert (task.instance_id, task.position) == ("left", 0)
        executions = await store.backend.read_executions("kept")
        assert [execution.state for execution in executions] == [State.CONTINUED_AS_NEW, State.RUNNING]
        assert executions[0].execution_id == kept.created.execution_id.hex()

    async def test_a_first_step_sends_messages(self, store: StoreUnderTest) -> None:
        """B5: children begin, signals arrive, and their answers come back."""
        sender, target, child_id = store.neighbours[:3]
        worker = await store.worker(workflow_names=frozenset({"checkout"}))
        await store.create(target, workflow="ship")
        messages = (builders.sub_workflow(child_id, 1), builders.send_signal(target, 2))
        started = await worker.begin(sender, messages=messages)
        assert started.first.workflow_task is not None
        assert names_of(started.first.workflow_task) == ["SignalDelivered"]
        assert started.first.workflow_task.token == started.created.token
        tasks = await (await store.worker("worker-2")).claim_workflow_tasks()
        friend, child = tasks
        assert (names_of(friend), child.instance_id) == (["ExecutionStarted", "approval"], child_id)
        assert child.parent is not None
        assert (child.parent.instance_id, child.parent.number) == (sender, 1)
        assert child.parent.execution_id == started.created.execution_id

    async def test_a_child_of_a_first_step_tells_its_parent(self, store: StoreUnderTest) -> None:
        """B5: also one that ends before anybody has seen the parent again."""
        worker, other = await store.worker(), await store.worker("worker-2")
        await worker.begin("order-1", messages=(builders.sub_workflow("child-1", 1),))
        await other.run(closing=builders.completed(b"5"))
        assert names_of(await worker.claim_workflow_task()) == ["SubWorkflowCompleted"]

    async def test_a_refused_message_of_a_first_step_comes_back_to_those_who_take_it(
        self, store: StoreUnderTest
    ) -> None:
        """B5: else it is due at once."""
        worker = await store.worker()
        started = await worker.begin(
            "order-1", messages=(builders.send_signal("nobody", 1),), offer=worker.offer(workflow_task=False)
        )
        assert started.first.workflow_task is None
        assert names_of(await worker.claim_workflow_task()) == ["SignalRefused"]

    async def test_what_a_first_step_publishes_can_be_read(self, store: StoreUnderTest) -> None:
        """W4."""
        await (await store.worker()).begin("order-1", published={"step": b"1"})
        assert await store.backend.read_published("order-1", "step") == b"1"

    async def test_signals_of_the_start_are_consumed_by_the_first_step(self, store: StoreUnderTest) -> None:
        """C1: the start event carries them, and they don't come again."""
        worker = await store.worker()
        signals = (builders.signal("a"), builders.signal("b", b"2"))
        await worker.begin("order-1", start={"signals": signals})
        (start,) = await history_of(store)
        assert isinstance(start.event, ExecutionStarted)
        assert start.event.carried == (CarriedSignal("a", b"true"), CarriedSignal("b", b"2"))
        await store.signal("order-1", "c")
        assert names_of(await worker.claim_workflow_task()) == ["c"]

    async def test_a_start_with_a_first_step_keeps_what_any_start_keeps(self, store: StoreUnderTest) -> None:
        """C1: queue, priority, version, tags and deadline."""
        worker = await store.worker(workflow_queues=("eu",), versions=frozenset({"1.2"}))
        start = {"queue": "eu", "priority": 3, "version": "1.2", "tags": {"shop": "7"}, "timeout": 60_000_000}
        await worker.begin("order-1", start=start)
        instance = await store.backend.read_instance("order-1")
        assert (instance.queue, instance.priority, instance.version) == ("eu", 3, "1.2")
        assert dict(instance.tags) == {"shop": "7"}
        assert instance.deadline_at is not None
        assert (instance.deadline_at - instance.created_at).total_seconds() == 60

    async def test_restart_takes_a_first_step_too(self, store: StoreUnderTest) -> None:
        """C2: in the place of the ended one, of which nothing stays."""
        worker = await store.worker()
        await store.finished(worker, "order-1", published={"key": b"1"})
        started = await worker.begin("order-1", builders.marked(), start={"if_exists": IfExists.RESTART})
        instance = await store.backend.read_instance("order-1")
        assert (instance.state, instance.history_length) == (State.RUNNING, 2)
        assert instance.execution_id == started.created.execution_id.hex()
        assert await store.backend.read_published("order-1", "key") is None

    async def test_the_worker_of_a_first_step_may_die_like_any_other(self, store: StoreUnderTest) -> None:
        """B3: take-over ends its lease; a late checkpoint is rejected, and the result of its activity too."""
        dying, other = await store.worker(lease=2), await store.worker("worker-2", lease=1000)
        started = await dying.begin("order-1", activities=numbered(1))
        await store.signal("order-1")
        await store.advance(3)
        await store.backend.housekeep()
        task = await other.claim_workflow_task()
        assert (task.position, names_of(task)) == (1, ["approval"])
        assert task.token != started.created.token
        assert isinstance(await dying.try_checkpoint(started.task, events=()), Rejected)
        assert isinstance(await dying.complete(started.first.activities[0]), Rejected)
        assert [attempt.attempt for attempt in await other.claim_activities()] == [1]

    async def test_a_worker_that_stops_gives_its_first_steps_back(self, store: StoreUnderTest) -> None:
        """K3."""
        worker, other = await store.worker(), await store.worker("worker-2")
        started = await worker.begin("order-1", activities=numbered(1))
        await worker.stop()
        assert isinstance(await worker.try_checkpoint(started.task, events=()), Rejected)
        await other.complete(await other.claim_activity())
        assert names_of(await other.claim_workflow_task()) == ["ActivityCompleted"]

    async def test_first_steps_side_by_side_are_all_taken(self, store: StoreUnderTest) -> None:
        """B2: many in one batch, and each has its own outcome."""
        worker = await store.worker()
        outcomes = await asyncio.gather(
            *(
                store.backend.commit(worker.start_request(f"order-{number}", activities=numbered(1)))
                for number in range(50)
            )
        )
        taken = [outcome.first for outcome in outcomes if isinstance(outcome, Created) and outcome.first is not None]
        assert len(taken) == 50
        assert len({first.activities[0].token for first in taken if first.activities}) == 50

    async def test_of_two_first_steps_for_one_id_one_is_taken(self, store: StoreUnderTest) -> None:
        """B8: two creates of one id never both pass."""
        one, two = await store.worker(), await store.worker("worker-2")
        outcomes = await asyncio.gather(
            *(store.backend.commit(worker.start_request("order-1", activities=numbered(1))) for worker in (one, two))
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Created", "Existing"]
        assert len(await store.backend.read_activities("order-1")) == 1

    async def test_a_first_step_and_what_follows_it_share_a_batch(self, store: StoreUnderTest) -> None:
        """B2: a signal that is committed right behind the start finds the instance."""
        worker = await store.worker()
        for number in range(20):
            name = f"order-{number}"
            created, signalled = await asyncio.gather(
                store.backend.commit(worker.start_request(name)),
                store.backend.commit(builders.append_signal(name)),
            )
            assert isinstance(created, Created)
            assert signalled == Appended()
        assert len(await worker.claim_workflow_tasks()) == 20
