"""What every store promises about attempts of activities: their ends, retries and heartbeats."""

from __future__ import annotations

import asyncio

from perdure.clock import to_datetime
from perdure.model.checkpoint import CancelActivity
from perdure.model.event import ActivityCompleted, ActivityFailed
from perdure.model.instance import State
from perdure.model.transition import (
    ActivityFailure,
    ActivityReleased,
    ActivityResult,
    ActivityRetry,
    Administered,
    Heartbeat,
    NotAppended,
    Recorded,
    Rejected,
    RetryActivityNow,
)
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest, names_of


class Attempting:
    async def test_a_result_arrives_as_an_event(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        assert await worker.complete(attempt, ActivityResult(b"42")) == Recorded()
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, ActivityCompleted)
        assert (event.number, event.result) == (1, b"42")
        assert list(await store.backend.read_activities("order-1")) == []

    async def test_a_failure_arrives_as_an_event(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        await worker.complete(attempt, ActivityFailure(builders.FAILURE, cancelled=True))
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, ActivityFailed)
        assert (event.number, event.failure, event.attempts, event.cancelled) == (1, builders.FAILURE, 1, True)

    async def test_a_second_end_of_one_attempt_is_rejected(self, store: StoreUnderTest) -> None:
        """A2: exactly one result recorded."""
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        outcomes = await asyncio.gather(*(worker.complete(attempt) for _ in range(5)))
        assert sum(isinstance(outcome, Recorded) for outcome in outcomes) == 1
        assert names_of(await worker.claim_workflow_task()) == ["ActivityCompleted"]

    async def test_another_token_is_rejected(self, store: StoreUnderTest) -> None:
        """B3."""
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        forged = type(attempt)(
            **{**{name: getattr(attempt, name) for name in attempt.__struct_fields__}, "token": attempt.token + 1}
        )
        assert isinstance(await worker.complete(forged), Rejected)
        assert await worker.heartbeat(forged) == Heartbeat(is_held=False)
        assert await worker.complete(attempt) == Recorded()

    async def test_a_retry_is_due_after_its_delay_with_the_next_attempt(self, store: StoreUnderTest) -> None:
        """A2: no history growth, no workflow task."""
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        await worker.complete(attempt, ActivityRetry(builders.FAILURE, store.micros(2)))
        claimed = await worker.claim()
        assert (claimed.activity_tasks, claimed.workflow_tasks) == ((), ())
        (pending,) = await store.backend.read_activities("order-1")
        assert (pending.attempt, pending.last_failure, pending.worker) == (2, builders.FAILURE, None)
        assert claimed.next_due_at is not None
        assert pending.due_at == to_datetime(claimed.next_due_at)
        await store.advance(2.2)
        second = await worker.claim_activity()
        assert (second.attempt, second.last_failure, second.scheduled_at) == (2, builders.FAILURE, attempt.scheduled_at)
        assert second.token != attempt.token
        assert (await store.backend.read_instance("order-1")).history_length == 1

    async def test_a_retry_without_delay_is_due_at_once(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        for number in range(2, 6):
            await worker.complete(attempt, ActivityRetry(builders.FAILURE, 0))
            attempt = await worker.claim_activity()
            assert attempt.attempt == number
        await worker.complete(attempt, ActivityFailure(builders.FAILURE))
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, ActivityFailed)
        assert event.attempts == 5

    async def test_a_completion_says_how_many_attempts_it_took(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await worker.complete(await store.scheduled(worker), ActivityRetry(builders.FAILURE, 0))
        await worker.complete(await worker.claim_activity())
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, ActivityCompleted)
        assert event.attempts == 2

    async def test_the_old_attempt_cannot_end_after_its_retry_began(self, store: StoreUnderTest) -> None:
        """B3."""
        worker = await store.worker()
        first = await store.scheduled(worker)
        await worker.complete(first, ActivityRetry(builders.FAILURE, 0))
        second = await worker.claim_activity()
        assert isinstance(await worker.complete(first), Rejected)
        assert await worker.complete(second) == Recorded()

    async def test_an_attempt_given_back_is_due_at_once_and_uncounted(self, store: StoreUnderTest) -> None:
        worker, other = await store.worker(), await store.worker("worker-2")
        attempt = await store.scheduled(worker)
        assert await worker.complete(attempt, ActivityReleased()) == Recorded()
        again = await other.claim_activity()
        assert again.attempt == 1
        assert isinstance(await worker.complete(attempt), Rejected)
        (pending,) = await store.backend.read_activities("order-1")
        assert (pending.worker, pending.lost) == ("worker-2", 0)

    async def test_heartbeat_details_are_there_for_the_next_attempt(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        assert await worker.heartbeat(attempt, b"half") == Heartbeat(is_held=True)
        (pending,) = await store.backend.read_activities("order-1")
        assert pending.heartbeat_details == b"half"
        await worker.complete(attempt, ActivityRetry(builders.FAILURE, 0))
        assert (await worker.claim_activity()).heartbeat_details == b"half"

    async def test_a_heartbeat_never_takes_a_lease_back(self, store: StoreUnderTest) -> None:
        """The trap "a heartbeat stealing a task back"."""
        worker, other = await store.worker(), await store.worker("worker-2")
        attempt = await store.scheduled(worker)
        await worker.complete(attempt, ActivityReleased())
        taken = await other.claim_activity()
        assert await worker.heartbeat(attempt, b"stolen") == Heartbeat(is_held=False)
        assert await other.complete(taken) == Recorded()

    async def test_an_end_after_the_end_of_the_execution_is_dropped(self, store: StoreUnderTest) -> None:
        """W10: running ones go on and their results are dropped; that is success."""
        worker = await store.worker()
        ends: tuple[ActivityResult | ActivityFailure | ActivityRetry | ActivityReleased, ...] = (
            ActivityResult(b"1"),
            ActivityFailure(builders.FAILURE),
            ActivityRetry(builders.FAILURE, 0),
            ActivityReleased(),
        )
        for number, end in enumerate(ends):
            attempt = await store.scheduled(worker, f"order-{number}")
            await store.signal(f"order-{number}")
            await worker.run(closing=builders.completed())
            assert await worker.heartbeat(attempt, b"x") == Heartbeat(is_held=True)
            assert await worker.complete(attempt, end) == Recorded()
            claimed = await worker.claim()
            assert (claimed.workflow_tasks, claimed.activity_tasks) == ((), ())

    async def test_activities_not_begun_go_with_the_end_of_the_execution(self, store: StoreUnderTest) -> None:
        """W10: those that wait for a worker, and retries to come."""
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        await worker.complete(attempt, ActivityRetry(builders.FAILURE, 0))
        await store.signal("order-1")
        task = await worker.claim_workflow_task()
        await worker.checkpoint(task, closing=builders.completed(), activities=(builders.activity(5),))
        assert await worker.claim_activities() == ()
        assert list(await store.backend.read_activities("order-1")) == []

    async def test_a_cancelled_activity_that_nobody_runs_is_removed(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(activities=(builders.activity(1), builders.activity(2)))
        await worker.checkpoint(
            task, builders.marked(3), position=1, events=(), cancelled_activities=(CancelActivity(1, told=False),)
        )
        assert [some.number for some in await store.backend.read_activities("order-1")] == [2]
        assert [some.number for some in await worker.claim_activities()] == [2]
        assert await worker.claim_workflow_tasks() == ()

    async def test_an_abandoned_activitys_end_is_dropped(self, store: StoreUnderTest) -> None:
        """W7: `abandon`, or a time-out around it: the activity isn't disturbed, its result is dropped."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(activities=(builders.activity(),))
        attempt = await worker.claim_activity()
        await worker.checkpoint(task, position=1, events=(), cancelled_activities=(CancelActivity(1, told=False),))
        assert await worker.heartbeat(attempt) == Heartbeat(is_held=True, cancel_requested=False)
        assert await worker.complete(attempt) == Recorded()
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_told_activitys_worker_hears_of_the_cancel(self, store: StoreUnderTest) -> None:
        """W7: `request`: by its heartbeat, and by the next claim; its end still counts."""
        await store.create("order-1")
        holder, runner = await store.worker(), await store.worker("worker-2")
        task = await holder.run(activities=(builders.activity(),))
        attempt = await runner.claim_activity()
        await holder.checkpoint(task, position=1, events=(), cancelled_activities=(CancelActivity(1, told=True),))
        assert (await runner.claim()).told == ((attempt.activity_key, attempt.token),)
        assert (await holder.claim()).told == ()
        assert await runner.heartbeat(attempt) == Heartbeat(is_held=True, cancel_requested=True)
        await runner.complete(attempt, ActivityFailure(builders.FAILURE, cancelled=True))
        assert names_of(await holder.claim_workflow_task()) == ["ActivityFailed"]

    async def test_a_told_activity_that_nobody_runs_ends_as_cancelled(self, store: StoreUnderTest) -> None:
        """W7: whoever still waits for how it ended gets an answer."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(activities=(builders.activity(),))
        await worker.checkpoint(task, position=1, events=(), cancelled_activities=(CancelActivity(1, told=True),))
        assert await worker.claim_activities() == ()
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, ActivityFailed)
        assert (event.number, event.cancelled, event.attempts) == (1, True, 0)

    async def test_a_cancel_of_an_activity_that_has_ended_is_no_error(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await worker.complete(await store.scheduled(worker))
        await worker.run(cancelled_activities=(CancelActivity(1, told=True), CancelActivity(9, told=False)))
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_waiting_retry_can_be_made_due_now(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        await worker.complete(attempt, ActivityRetry(builders.FAILURE, store.micros(1000)))
        outcome = await store.backend.commit(RetryActivityNow(instance_id="order-1", number=1))
        assert outcome == Administered()
        assert (await worker.claim_activity()).attempt == 2
        assert await store.backend.commit(RetryActivityNow(instance_id="nobody", number=1)) == NotAppended(None)

    async def test_retry_now_of_an_ended_instance_says_so(self, store: StoreUnderTest) -> None:
        await store.finished(await store.worker(), "order-1")
        outcome = await store.backend.commit(RetryActivityNow(instance_id="order-1", number=1))
        assert outcome == NotAppended(State.COMPLETED)
