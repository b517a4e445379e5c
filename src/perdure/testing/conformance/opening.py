"""What every store promises about attempts whose end comes from outside: nobody's lease, and yet not to be lost or done again."""

from __future__ import annotations

import msgspec

from perdure.model.checkpoint import CancelActivity
from perdure.model.event import ActivityCompleted, ActivityFailed
from perdure.model.failure import plain_failure
from perdure.model.inspection import QueueLimits, SettingKind
from perdure.model.retry import RetryPolicy, stored_retry
from perdure.model.task import ActivityTask
from perdure.model.transition import (
    ActivityFailure,
    ActivityOpened,
    ActivityResult,
    Administered,
    AttemptFailed,
    Heartbeat,
    Recorded,
    Rejected,
    Resume,
    RetryActivityNow,
    Suspend,
)
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import PlayedWorker, StoreUnderTest, names_of

AT_ONCE = stored_retry(RetryPolicy(max_attempts=2, initial_interval=RetryPolicy().initial_interval * 0, jitter=0))
DECLINED = plain_failure("Declined", "no")


async def opened(
    store: StoreUnderTest, worker: PlayedWorker, instance_id: str = "order-1", **spec: object
) -> ActivityTask:
    """An attempt that waits for its end from outside."""
    attempt = await store.scheduled(worker, instance_id, **spec)
    assert await worker.complete(attempt, ActivityOpened(0)) == Recorded()
    return attempt


async def failed(worker: PlayedWorker) -> ActivityFailed:
    """The end that has arrived."""
    event = (await worker.claim_workflow_task()).pending[0].event
    assert isinstance(event, ActivityFailed)
    return event


class Opening:
    async def test_whoever_has_the_token_ends_an_open_attempt_once(self, store: StoreUnderTest) -> None:
        """A1, A2."""
        worker = await store.worker()
        attempt = await opened(store, worker)
        (pending,) = await store.backend.read_activities("order-1")
        assert (pending.is_open, pending.worker, pending.attempt) == (True, None, 1)
        claimed = await worker.claim()
        assert (claimed.activity_tasks, claimed.workflow_tasks) == ((), ())
        forged = msgspec.structs.replace(attempt, token=attempt.token + 1)
        assert isinstance(await worker.complete(forged), Rejected)
        assert await worker.complete(attempt, ActivityResult(b"42")) == Recorded()
        assert isinstance(await worker.complete(attempt, ActivityResult(b"43")), Rejected)
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, ActivityCompleted)
        assert event.result == b"42"

    async def test_an_open_attempt_outlives_its_worker(self, store: StoreUnderTest) -> None:
        """A1: it is in nobody's hands: no worker can lose it, and none gets it again."""
        dying, other = await store.worker(lease=2), await store.worker("worker-2", lease=1000)
        attempt = await opened(store, dying)
        stopping = await store.worker("worker-3", lease=1000)
        second = await opened(store, stopping, "order-2")
        await stopping.stop()
        await store.advance(2.2)
        assert (await store.backend.housekeep()).activities_lost == 0
        assert await other.claim_activities() == ()
        for task in (attempt, second):
            (pending,) = await store.backend.read_activities(task.instance_id)
            assert (pending.is_open, pending.lost) == (True, 0)
            assert await other.complete(task) == Recorded()
        assert len(await other.claim_workflow_tasks()) == 2

    async def test_opening_twice_changes_nothing(self, store: StoreUnderTest) -> None:
        """B4: the answer may have been lost."""
        worker = await store.worker(lease=1000)
        attempt = await opened(store, worker, timeout=store.micros(3))
        await store.advance(2)
        assert await worker.complete(attempt, ActivityOpened(0)) == Recorded()
        await store.advance(1.2)
        assert (await store.backend.housekeep()).activities_expired == 1

    async def test_an_end_may_be_there_before_the_attempt_is_open(self, store: StoreUnderTest) -> None:
        """The webhook was faster than the function."""
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        assert await worker.complete(attempt, ActivityResult(b"42")) == Recorded()
        assert isinstance(await worker.complete(attempt, ActivityOpened(0)), Rejected)
        assert names_of(await worker.claim_workflow_task()) == ["ActivityCompleted"]

    async def test_an_open_attempt_takes_no_permit_of_its_queue(self, store: StoreUnderTest) -> None:
        """K1: limits are about what workers run."""
        worker = await store.worker()
        limits = msgspec.json.encode(QueueLimits(at_once=1))
        await store.backend.put_setting(SettingKind.QUEUE, "default", limits)
        first = await store.scheduled(worker)
        await store.create("order-2")
        await worker.run(activities=(builders.activity(),))
        assert await worker.claim_activities() == ()
        await worker.complete(first, ActivityOpened(0))
        second = await worker.claim_activity()
        await worker.complete(first)
        await store.create("order-3")
        tasks = await worker.claim_workflow_tasks()
        for task in tasks:
            if task.instance_id == "order-3":
                await worker.checkpoint(task, activities=(builders.activity(),))
        assert await worker.claim_activities() == ()
        await worker.complete(second)
        assert (await worker.claim_activity()).instance_id == "order-3"

    async def test_queues_show_an_open_attempt_as_neither_waiting_nor_running(self, store: StoreUnderTest) -> None:
        await opened(store, await store.worker())
        assert list(await store.backend.list_queues()) == []

    async def test_a_failure_from_outside_goes_by_the_retry_policy(self, store: StoreUnderTest) -> None:
        """A2."""
        worker = await store.worker()
        attempt = await opened(store, worker, retry=AT_ONCE)
        assert await worker.complete(attempt, AttemptFailed(DECLINED)) == Recorded()
        second = await worker.claim_activity()
        assert (second.attempt, second.last_failure) == (2, DECLINED)
        assert isinstance(await worker.complete(attempt), Rejected)
        await worker.complete(second, ActivityOpened(0))
        await worker.complete(second, AttemptFailed(DECLINED))
        event = await failed(worker)
        assert (event.failure, event.attempts) == (DECLINED, 2)

    async def test_a_permanent_failure_from_outside_is_for_good(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await opened(store, worker, retry=AT_ONCE)
        await worker.complete(attempt, AttemptFailed(builders.FAILURE))
        assert (await failed(worker)).attempts == 1

    async def test_a_failure_with_no_time_left_for_another_attempt_is_for_good(self, store: StoreUnderTest) -> None:
        """A3."""
        worker = await store.worker()
        attempt = await opened(store, worker, total_timeout=store.micros(0.5), retry=builders.RETRY)
        await worker.complete(attempt, AttemptFailed(DECLINED))
        event = await failed(worker)
        assert "total_timeout" in event.failure.message
        assert event.failure.cause == DECLINED

    async def test_the_timeout_of_an_open_attempt_goes_on_and_counts_as_its_failure(
        self, store: StoreUnderTest
    ) -> None:
        """A3: the time that it ran counts."""
        worker = await store.worker(lease=1000)
        attempt = await store.scheduled(worker, timeout=store.micros(5), retry=AT_ONCE, queue_timeout=store.micros(1))
        await worker.complete(attempt, ActivityOpened(store.micros(3)))
        await store.advance(1.5)
        assert (await store.backend.housekeep()).activities_expired == 0
        await store.advance(0.7)
        assert (await store.backend.housekeep()).activities_expired == 1
        assert isinstance(await worker.complete(attempt), Rejected)
        second = await worker.claim_activity()
        assert second.attempt == 2
        assert second.last_failure is not None
        assert second.last_failure.is_type("ActivityTimeout")
        assert "its timeout in attempt 1" in second.last_failure.message

    async def test_the_total_timeout_ends_an_open_attempt_for_good(self, store: StoreUnderTest) -> None:
        """A3."""
        worker = await store.worker(lease=1000)
        await opened(store, worker, total_timeout=store.micros(2), timeout=store.micros(1000), retry=AT_ONCE)
        await store.advance(2.2)
        assert (await store.backend.housekeep()).activities_expired == 1
        event = await failed(worker)
        assert "its total_timeout in attempt 1" in event.failure.message
        assert event.attempts == 1

    async def test_heartbeats_from_outside_keep_an_open_attempt(self, store: StoreUnderTest) -> None:
        """A3: heartbeat_timeout; details go to the next attempt, a beat without any leaves them."""
        worker = await store.worker(lease=1000)
        attempt = await opened(store, worker, heartbeat_timeout=store.micros(3), retry=AT_ONCE)
        for details in (b"half", None):
            await store.advance(2)
            assert (await store.backend.housekeep()).activities_expired == 0
            assert await worker.heartbeat(attempt, details) == Heartbeat(is_held=True)
        await store.advance(3.2)
        assert (await store.backend.housekeep()).activities_expired == 1
        assert await worker.heartbeat(attempt) == Heartbeat(is_held=False)
        second = await worker.claim_activity()
        assert (second.attempt, second.heartbeat_details) == (2, b"half")
        assert second.last_failure is not None
        assert "heartbeat_timeout" in second.last_failure.message

    async def test_a_told_cancel_is_heard_by_the_heartbeat_from_outside(self, store: StoreUnderTest) -> None:
        """W7: `request`: its end still comes, and isn't tried again."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(activities=(builders.activity(retry=AT_ONCE),))
        attempt = await worker.claim_activity()
        await worker.complete(attempt, ActivityOpened(0))
        await worker.checkpoint(task, position=1, events=(), cancelled_activities=(CancelActivity(1, told=True),))
        assert (await worker.claim()).told == ()
        assert await worker.heartbeat(attempt) == Heartbeat(is_held=True, cancel_requested=True)
        await worker.complete(attempt, AttemptFailed(plain_failure("CancelledError", "stopped", module="asyncio")))
        event = await failed(worker)
        assert (event.cancelled, event.attempts) == (True, 1)

    async def test_an_open_attempt_that_nobody_waits_for_goes(self, store: StoreUnderTest) -> None:
        """W7, W10: there is no worker that would end it; outside hears of it by the next word."""
        worker = await store.worker()
        first = await opened(store, worker)
        await store.signal("order-1")
        await worker.run(closing=builders.completed())
        await store.create("order-2")
        task = await worker.run(activities=(builders.activity(),))
        second = await worker.claim_activity()
        await worker.complete(second, ActivityOpened(0))
        await worker.checkpoint(task, position=1, events=(), cancelled_activities=(CancelActivity(1, told=False),))
        for attempt in (first, second):
            assert await worker.heartbeat(attempt) == Heartbeat(is_held=False)
            assert isinstance(await worker.complete(attempt), Rejected)
        assert await worker.claim_workflow_tasks() == ()

    async def test_an_attempt_that_nobody_waits_for_any_more_is_not_opened(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        await store.signal("order-1")
        await worker.run(closing=builders.completed())
        assert await worker.complete(attempt, ActivityOpened(0)) == Recorded()
        assert await worker.heartbeat(attempt) == Heartbeat(is_held=False)

    async def test_suspend_and_retry_now_leave_an_open_attempt_alone(self, store: StoreUnderTest) -> None:
        """What was begun goes on to its end."""
        worker = await store.worker()
        attempt = await opened(store, worker)
        await store.backend.commit(Suspend(instance_id="order-1"))
        assert await store.backend.commit(RetryActivityNow(instance_id="order-1", number=1)) == Administered()
        await store.backend.commit(Resume(instance_id="order-1"))
        assert await worker.claim_activities() == ()
        assert await worker.complete(attempt, ActivityFailure(DECLINED)) == Recorded()

    async def test_an_end_from_outside_comes_back_to_who_offers(self, store: StoreUnderTest) -> None:
        """B2: hand-back."""
        worker = await store.worker()
        attempt = await opened(store, worker)
        outcome = await worker.complete(attempt, offer=worker.offer())
        assert isinstance(outcome, Recorded)
        assert outcome.workflow_task is not None
        assert names_of(outcome.workflow_task) == ["ActivityCompleted"]
