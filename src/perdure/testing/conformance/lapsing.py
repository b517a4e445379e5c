"""What every store promises about time and dying workers: leases, take-over, time-outs, deadlines."""

from __future__ import annotations

import asyncio

from perdure.backends.protocol import Housekeeping
from perdure.model.event import ActivityFailed, DeadlinePassed
from perdure.model.instance import State
from perdure.model.transition import (
    ActivityReleased,
    ActivityRetry,
    Checkpointed,
    Heartbeat,
    Recorded,
    Rejected,
    Suspend,
)
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import PlayedWorker, StoreUnderTest, names_of


async def dies(store: StoreUnderTest, worker: PlayedWorker) -> Housekeeping:
    """The worker, whose lease is two units, is found dead."""
    assert worker.start.lease_seconds == 2 * store.unit_seconds
    await store.advance(2.2)
    done = await store.backend.housekeep()
    assert done.workers_lost == 1
    return done


class Lapsing:
    async def test_a_dead_workers_instances_are_claimable_at_once(self, store: StoreUnderTest) -> None:
        """B3; the trap "sticky instances idle after a worker's death"."""
        other = await store.worker("worker-2", lease=1000)
        dying = await store.worker(lease=2)
        await store.create("out")
        out = await dying.claim_workflow_task()
        await store.create("idle")
        await dying.run()
        await store.signal("idle")
        assert await other.claim_workflow_tasks() == ()
        await dies(store, dying)
        tasks = await other.claim_workflow_tasks()
        assert [task.instance_id for task in tasks] == ["out", "idle"]
        assert tasks[0].pending == out.pending
        assert names_of(tasks[1]) == ["approval"]
        assert out.token not in {task.token for task in tasks}

    async def test_after_a_take_over_a_late_checkpoint_is_rejected(self, store: StoreUnderTest) -> None:
        """B3: a late completion is rejected as a whole."""
        dying, other = await store.worker(lease=2), await store.worker("worker-2", lease=1000)
        await store.create("order-1")
        late = await dying.claim_workflow_task()
        await dies(store, dying)
        assert isinstance(await dying.try_checkpoint(late), Rejected)
        task = await other.claim_workflow_task()
        assert isinstance(await dying.try_checkpoint(late), Rejected)
        await other.checkpoint(task)
        assert isinstance(await dying.try_checkpoint(late, position=1), Rejected)

    async def test_after_a_take_over_a_late_result_is_rejected(self, store: StoreUnderTest) -> None:
        """B3; K2."""
        dying, other = await store.worker(lease=2), await store.worker("worker-2", lease=1000)
        late = await store.scheduled(dying)
        await dies(store, dying)
        assert isinstance(await dying.complete(late), Rejected)
        assert await dying.heartbeat(late) == Heartbeat(is_held=False)
        assert await other.complete(await other.claim_activity()) == Recorded()

    async def test_an_expired_lease_that_nobody_took_still_completes(self, store: StoreUnderTest) -> None:
        """B3."""
        worker = await store.worker(lease=1)
        attempt = await store.scheduled(worker)
        await store.create("order-2")
        task = await worker.claim_workflow_task()
        await store.advance(3)
        assert await worker.complete(attempt) == Recorded()
        assert isinstance(await worker.try_checkpoint(task), Checkpointed)

    async def test_housekeeping_says_when_the_next_lease_lapses(self, store: StoreUnderTest) -> None:
        """B3: so that somebody looks then."""
        assert (await store.backend.housekeep()).next_lapse_in is None
        await store.worker("worker-2", lease=1000)
        dying = await store.worker(lease=2)
        left = (await store.backend.housekeep()).next_lapse_in
        assert left is not None
        assert 0 < left <= store.micros(2)
        await dies(store, dying)
        left = (await store.backend.housekeep()).next_lapse_in
        assert left is not None
        assert store.micros(2) < left <= store.micros(1000)

    async def test_a_heartbeat_keeps_all_leases(self, store: StoreUnderTest) -> None:
        """B3: one row per worker, not one lease per task."""
        worker = await store.worker(lease=2)
        attempt = await store.scheduled(worker)
        for _ in range(4):
            await store.advance(1)
            assert (await store.backend.beat(worker.key)).is_alive
            assert (await store.backend.housekeep()).workers_lost == 0
        assert await worker.complete(attempt) == Recorded()

    async def test_one_that_was_marked_dead_stays_dead(self, store: StoreUnderTest) -> None:
        """B3: take-over marks the worker dead first."""
        worker = await store.worker(lease=2)
        await store.create("order-1")
        await dies(store, worker)
        assert not (await store.backend.beat(worker.key)).is_alive
        claimed = await worker.claim()
        assert (claimed.workflow_tasks, claimed.activity_tasks) == ((), ())
        assert not (await store.backend.beat(worker.key)).is_alive

    async def test_a_worker_nobody_knows_is_not_alive(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await worker.stop()
        assert not (await store.backend.beat(worker.key)).is_alive
        await worker.stop()

    async def test_a_lost_attempt_is_due_again_uncounted(self, store: StoreUnderTest) -> None:
        """A2: an attempt lost with its worker doesn't count against max_attempts."""
        other = await store.worker("worker-2", lease=1000)
        dying = await store.worker(lease=2)
        attempt = await store.scheduled(dying)
        await dying.heartbeat(attempt, b"half")
        await dies(store, dying)
        (pending,) = await store.backend.read_activities("order-1")
        assert (pending.attempt, pending.lost, pending.worker) == (1, 1, None)
        again = await other.claim_activity()
        assert (again.attempt, again.heartbeat_details) == (1, b"half")

    async def test_the_fifth_loss_in_a_row_fails_the_activity(self, store: StoreUnderTest) -> None:
        """A2: five in a row fail it with WorkerLost."""
        survivor = await store.worker("survivor", lease=1000)
        await store.create("order-1")
        await survivor.run(activities=(builders.activity(),))
        for number in range(5):
            assert list(await survivor.claim_workflow_tasks()) == []
            dying = await store.worker(f"dying-{number}", lease=2)
            assert (await dying.claim_activity()).attempt == 1
            await dies(store, dying)
        event = (await survivor.claim_workflow_task()).pending[0].event
        assert isinstance(event, ActivityFailed)
        assert event.failure.is_type("WorkerLost")
        assert list(await store.backend.read_activities("order-1")) == []

    async def test_a_failure_of_its_own_ends_the_row_of_losses(self, store: StoreUnderTest) -> None:
        """A2: in a row."""
        survivor = await store.worker("survivor", lease=1000)
        await store.create("order-1")
        await survivor.run(activities=(builders.activity(),))
        for number in range(6):
            dying = await store.worker(f"dying-{number}", lease=2)
            attempt = await dying.claim_activity()
            if number == 3:
                await dying.complete(attempt, ActivityRetry(builders.FAILURE, 0))
                await dying.claim_activity()
            await dies(store, dying)
        (pending,) = await store.backend.read_activities("order-1")
        assert (pending.attempt, pending.lost) == (2, 3)

    async def test_a_dropped_activity_goes_with_its_worker(self, store: StoreUnderTest) -> None:
        dying, other = await store.worker(lease=2), await store.worker("worker-2", lease=1000)
        await store.scheduled(dying)
        await store.signal("order-1")
        await dying.run(closing=builders.completed())
        await dies(store, dying)
        assert await other.claim_activities() == ()

    async def test_a_graceful_stop_gives_everything_back_uncounted(self, store: StoreUnderTest) -> None:
        """K3."""
        worker, other = await store.worker(), await store.worker("worker-2")
        for number in range(3):
            await store.create(f"order-{number}")
        first, _, _ = await worker.claim_workflow_tasks()
        await worker.checkpoint(first, activities=(builders.activity(),))
        await worker.claim_activity()
        await store.signal("order-0")
        await worker.stop()
        claimed = await other.claim()
        assert [task.instance_id for task in claimed.workflow_tasks] == ["order-0", "order-1", "order-2"]
        assert [task.attempt for task in claimed.activity_tasks] == [1]
        (pending,) = await store.backend.read_activities("order-0")
        assert pending.lost == 0
        assert [status.worker for status in await store.backend.list_workers()] == ["worker-2"]

    async def test_housekeeping_covers_every_queue(self, store: StoreUnderTest) -> None:
        """B2; the trap "recovery that looks at the first queue only"."""
        queues = ("a", "b", "c")
        dying = await store.worker(lease=2, workflow_queues=queues, activity_queues=queues)
        for queue in queues:
            await store.create(f"order-{queue}", queue=queue)
            await dying.run(activities=(builders.activity(queue=queue),))
            await dying.claim_activity()
        await dies(store, dying)
        other = await store.worker("worker-2", workflow_queues=queues, activity_queues=queues)
        assert sorted(task.queue for task in await other.claim_activities()) == ["a", "b", "c"]

    async def test_housekeeping_side_by_side_counts_everything_once(self, store: StoreUnderTest) -> None:
        """B3: any worker may, at any time, side by side."""
        dying = await store.worker(lease=2)
        await store.scheduled(dying)
        await store.create("order-2", timeout=store.micros(1))
        await store.advance(2.2)
        rounds = await asyncio.gather(*(store.backend.housekeep() for _ in range(5)))
        assert sum(done.workers_lost for done in rounds) == 1
        assert sum(done.activities_lost for done in rounds) == 1
        assert sum(done.deadlines_passed for done in rounds) == 1
        (pending,) = await store.backend.read_activities("order-1")
        assert pending.lost == 1


class TimingOut:
    async def test_an_activity_nobody_takes_runs_into_its_queue_timeout(self, store: StoreUnderTest) -> None:
        """A3: also on a queue that nobody serves."""
        await store.create("order-1")
        worker = await store.worker(lease=1000)
        spec = builders.activity(queue="unserved", queue_timeout=store.micros(2))
        await worker.run(activities=(spec,))
        assert (await store.backend.housekeep()).activities_expired == 0
        await store.advance(2.2)
        assert (await store.backend.housekeep()).activities_expired == 1
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, ActivityFailed)
        assert event.failure.is_type("ActivityTimeout")
        assert "queue_timeout" in event.failure.message
        assert (event.number, event.attempts) == (1, 0)

    async def test_total_timeout_ends_the_retries(self, store: StoreUnderTest) -> None:
        """A3: all attempts; the last failure is the cause."""
        worker = await store.worker(lease=1000)
        attempt = await store.scheduled(worker, total_timeout=store.micros(3))
        await worker.complete(attempt, ActivityRetry(builders.FAILURE, store.micros(1000)))
        await store.advance(3.2)
        assert (await store.backend.housekeep()).activities_expired == 1
        event = (await worker.claim_workflow_task()).pending[0].event
        assert isinstance(event, ActivityFailed)
        assert event.failure.is_type("ActivityTimeout")
        assert event.failure.cause == builders.FAILURE
        assert event.attempts == 1

    async def test_an_activity_that_runs_is_left_to_its_worker(self, store: StoreUnderTest) -> None:
        """A3: past queue_timeout or total_timeout while nobody runs them."""
        worker = await store.worker(lease=1000)
        attempt = await store.scheduled(worker, total_timeout=store.micros(1), queue_timeout=store.micros(1))
        await store.advance(2)
        assert (await store.backend.housekeep()).activities_expired == 0
        assert await worker.complete(attempt) == Recorded()

    async def test_an_activity_given_back_past_its_time_expires(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        attempt = await store.scheduled(worker, total_timeout=store.micros(1))
        await store.advance(2)
        await worker.complete(attempt, ActivityReleased())
        assert (await store.backend.housekeep()).activities_expired == 1

    async def test_a_passed_deadline_fails_the_instance(self, store: StoreUnderTest) -> None:
        """A3: past it the instance is FAILED with DeadlineExceeded, idle, suspended or waiting for a worker."""
        await store.create("idle", timeout=store.micros(4))
        worker = await store.worker(lease=1000)
        await worker.run()
        await store.create("suspended", timeout=store.micros(4))
        await store.backend.commit(Suspend(instance_id="suspended"))
        await store.create("unserved", queue="unserved", timeout=store.micros(4))
        await store.create("endless")
        assert (await store.backend.housekeep()).deadlines_passed == 0
        await store.advance(5)
        assert (await store.backend.housekeep()).deadlines_passed == 3
        for name in ("idle", "suspended", "unserved"):
            outcome = await store.backend.read_outcome(name)
            assert outcome is not None
            assert outcome.state is State.FAILED
            assert outcome.failure is not None
            assert outcome.failure.is_type("DeadlineExceeded")
        last = (await store.backend.read_history("idle"))[-1].event
        assert isinstance(last, DeadlinePassed)
        assert (await worker.claim_workflow_task()).instance_id == "endless"

    async def test_a_deadline_stands_across_continue_as_new(self, store: StoreUnderTest) -> None:
        await store.create("order-1", timeout=store.micros(3))
        worker = await store.worker(lease=1000)
        await worker.run(closing=builders.continued())
        await store.advance(3.5)
        assert (await store.backend.housekeep()).deadlines_passed == 1

    async def test_a_checkpoint_after_the_deadline_is_rejected(self, store: StoreUnderTest) -> None:
        await store.create("order-1", timeout=store.micros(1))
        worker = await store.worker(lease=1000)
        task = await worker.claim_workflow_task()
        await store.advance(2)
        await store.backend.housekeep()
        assert isinstance(await worker.try_checkpoint(task), Rejected)

    async def test_an_instance_that_has_ended_misses_no_deadline(self, store: StoreUnderTest) -> None:
        await store.create("order-1", timeout=store.micros(1))
        await (await store.worker(lease=1000)).run(closing=builders.completed())
        await store.advance(2)
        assert (await store.backend.housekeep()).deadlines_passed == 0
        assert (await store.backend.read_instance("order-1")).state is State.COMPLETED
