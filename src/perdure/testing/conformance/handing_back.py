"""What every store promises about work that comes back with a commit, and about limits of queues."""

from __future__ import annotations

import json

from perdure.model.inspection import SettingKind
from perdure.model.transition import (
    ActivityRetry,
    Checkpointed,
    CompleteActivityTask,
    Recorded,
    Suspend,
)
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import NOT_SERVING, PlayedWorker, StoreUnderTest, names_of


async def limit(store: StoreUnderTest, **limits: object) -> None:
    await store.backend.put_setting(SettingKind.QUEUE, "default", json.dumps(limits).encode())


def numbered(count: int) -> tuple[object, ...]:
    return tuple(builders.activity(number) for number in range(1, count + 1))


async def begun(worker: PlayedWorker) -> int:
    return len(await worker.claim_activities())


class HandingBack:
    async def test_new_activities_come_back_leased(self, store: StoreUnderTest) -> None:
        """B2: what a commit makes ready comes back leased to the worker that made it."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        written = await worker.checkpoint(task, activities=numbered(2), offer=worker.offer())
        assert [(activity.number, activity.attempt) for activity in written.activities] == [(1, 1), (2, 1)]
        assert await (await store.worker("worker-2")).claim_activities() == ()
        assert await worker.complete(written.activities[0]) == Recorded()

    async def test_no_more_comes_back_than_was_offered(self, store: StoreUnderTest) -> None:
        """B2: free slots."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        specs = (builders.activity(1), builders.activity(2, priority=9), builders.activity(3))
        written = await worker.checkpoint(task, activities=specs, offer=worker.offer(2))
        assert sorted(activity.number for activity in written.activities) == [1, 2]
        assert [activity.number for activity in await worker.claim_activities()] == [3]

    async def test_without_an_offer_nothing_comes_back(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await store.signal("order-1")
        assert await worker.checkpoint(task, activities=numbered(1)) == Checkpointed(
            events_bytes=(await store.backend.read_instance("order-1")).history_bytes
        )

    async def test_only_served_queues_and_known_names_come_back(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        specs = (builders.activity(1, queue="eu"), builders.activity(2, name="unheard of"), builders.activity(3))
        written = await worker.checkpoint(task, activities=specs, offer=worker.offer())
        assert [activity.number for activity in written.activities] == [3]

    async def test_it_stops_while_older_work_waits(self, store: StoreUnderTest) -> None:
        """B2: hand-back stops while the due work of older instances waits on a served queue."""
        worker = await store.worker()
        await store.create("old")
        await worker.run(activities=numbered(1))
        await store.create("young")
        task = await worker.claim_workflow_task()
        written = await worker.checkpoint(task, activities=numbered(1), offer=worker.offer())
        assert written.activities == ()
        tasks = await worker.claim_activities()
        assert [activity.instance_id for activity in tasks] == ["old", "young"]

    async def test_older_work_that_the_worker_cannot_do_holds_nothing_up(self, store: StoreUnderTest) -> None:
        """B2: other queues, unknown names and suspended instances don't wait for this worker."""
        worker = await store.worker()
        await store.create("old")
        specs = (builders.activity(1, queue="eu"), builders.activity(2, name="unheard of"))
        await worker.run(activities=specs)
        await store.create("suspended")
        await worker.run(activities=numbered(1))
        await store.backend.commit(Suspend(instance_id="suspended"))
        await store.create("young")
        task = await worker.claim_workflow_task()
        written = await worker.checkpoint(task, activities=numbered(1), offer=worker.offer())
        assert len(written.activities) == 1

    async def test_older_work_on_a_queue_without_permits_holds_nothing_up(self, store: StoreUnderTest) -> None:
        """B2: what couldn't begin now isn't overtaken."""
        await store.backend.put_setting(SettingKind.QUEUE, "eu", b'{"paused": true}')
        worker = await store.worker(activity_queues=("default", "eu"))
        await store.create("old")
        await worker.run(activities=(builders.activity(1, queue="eu"),))
        await store.create("young")
        task = await worker.claim_workflow_task()
        written = await worker.checkpoint(task, activities=numbered(1), offer=worker.offer())
        assert len(written.activities) == 1

    async def test_younger_work_that_waits_holds_nothing_up(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.create("old")
        old = await worker.run()
        await store.create("young")
        await worker.run(activities=numbered(1))
        written = await worker.checkpoint(old, position=1, events=(), activities=numbered(1), offer=worker.offer())
        assert [activity.instance_id for activity in written.activities] == ["old"]

    async def test_work_that_is_due_later_holds_nothing_up(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await store.scheduled(worker, "old")
        await worker.complete(attempt, ActivityRetry(builders.FAILURE, store.micros(1000)))
        await store.create("young")
        task = await worker.claim_workflow_task()
        written = await worker.checkpoint(task, activities=numbered(1), offer=worker.offer())
        assert len(written.activities) == 1

    async def test_events_that_came_meanwhile_come_back_as_the_next_task(self, store: StoreUnderTest) -> None:
        """B2: workflow tasks of executions that the worker has in memory."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await store.signal("order-1", "late")
        following = (await worker.checkpoint(task, offer=worker.offer())).workflow_task
        assert following is not None
        assert (following.token, following.position, names_of(following)) == (task.token, 1, ["late"])
        assert await worker.claim_workflow_tasks() == ()
        await worker.checkpoint(following)

    async def test_a_task_comes_back_only_to_those_who_take_it(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await store.signal("order-1", "late")
        offer = worker.offer(workflow_task=False)
        assert (await worker.checkpoint(task, offer=offer)).workflow_task is None
        assert names_of(await worker.claim_workflow_task()) == ["late"]

    async def test_without_anything_due_no_task_comes_back(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        timer = task.now + store.micros(100)
        assert (await worker.checkpoint(task, offer=worker.offer(), next_timer_at=timer)).workflow_task is None

    async def test_a_release_gives_the_next_task_to_anybody(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await store.signal("order-1", "late")
        assert (await worker.checkpoint(task, offer=worker.offer(), release=True)).workflow_task is None
        assert names_of(await (await store.worker("worker-2")).claim_workflow_task()) == ["late"]

    async def test_an_end_of_an_activity_brings_the_workflow_task(self, store: StoreUnderTest) -> None:
        """B2: of an instance that the worker holds, or nobody."""
        worker = await store.worker()
        for release in (False, True):
            name = f"order-{release}"
            await store.create(name)
            await worker.run(activities=numbered(1), release=release)
            recorded = await worker.complete(await worker.claim_activity(), offer=worker.offer())
            assert isinstance(recorded, Recorded)
            assert recorded.workflow_task is not None
            assert recorded.workflow_task.instance_id == name
            assert names_of(recorded.workflow_task) == ["ActivityCompleted"]
            await worker.checkpoint(recorded.workflow_task)

    async def test_an_instance_of_another_holder_does_not_come_back(self, store: StoreUnderTest) -> None:
        """B3: it comes to the one that has it in memory."""
        await store.create("order-1")
        holder, other = await store.worker(), await store.worker("worker-2")
        await holder.run(activities=numbered(1))
        recorded = await other.complete(await other.claim_activity(), offer=other.offer())
        assert recorded == Recorded(workflow_task=None)
        assert names_of(await holder.claim_workflow_task()) == ["ActivityCompleted"]

    async def test_an_instance_comes_back_only_to_those_who_know_it(self, store: StoreUnderTest) -> None:
        """K1, W12: queue, name and version, as for a claim."""
        for number, start in enumerate(NOT_SERVING):
            await store.create(f"order-{number}")
            worker, other = await store.worker(), await store.worker("worker-2", **start)
            await worker.run(activities=numbered(1), release=True)
            recorded = await other.complete(await other.claim_activity(), offer=other.offer())
            assert recorded == Recorded(workflow_task=None)
            await worker.run(closing=builders.completed())

    async def test_a_suspended_instance_does_not_come_back(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        await store.backend.commit(Suspend(instance_id="order-1"))
        assert await worker.complete(attempt, offer=worker.offer()) == Recorded(workflow_task=None)

    async def test_an_offer_of_a_worker_that_is_gone_is_not_taken(self, store: StoreUnderTest) -> None:
        worker, gone = await store.worker(), await store.worker("worker-2")
        attempt = await store.scheduled(worker, "order-1")
        await worker.claim()
        await gone.stop()
        end = CompleteActivityTask(
            activity_key=attempt.activity_key,
            token=attempt.token,
            end=ActivityRetry(builders.FAILURE, 0),
            offer=gone.offer(),
        )
        assert await store.backend.commit(end) == Recorded(workflow_task=None)


class LimitingQueues:
    async def test_no_more_run_at_once_than_the_queue_allows(self, store: StoreUnderTest) -> None:
        """B2: a limited queue's permits lie in one place, over all workers."""
        await limit(store, at_once=3)
        await store.create("order-1")
        first, second = await store.worker(), await store.worker("worker-2")
        await first.run(activities=numbered(10))
        running = [*await first.claim_activities(2), *await second.claim_activities(5)]
        assert len(running) == 3
        assert await begun(first) == 0
        await first.complete(running[0])
        assert await begun(second) == 1

    async def test_a_hand_back_passes_the_same_limits(self, store: StoreUnderTest) -> None:
        """B2: one admission function."""
        await limit(store, at_once=2)
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        written = await worker.checkpoint(task, activities=numbered(5), offer=worker.offer())
        assert len(written.activities) == 2
        assert await begun(worker) == 0

    async def test_a_paused_queue_hands_nothing_back(self, store: StoreUnderTest) -> None:
        await limit(store, paused=True)
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        assert (await worker.checkpoint(task, activities=numbered(5), offer=worker.offer())).activities == ()

    async def test_a_limit_of_one_queue_leaves_the_others_alone(self, store: StoreUnderTest) -> None:
        await limit(store, at_once=1)
        await store.create("order-1")
        worker = await store.worker(activity_queues=("default", "eu"))
        specs = (*numbered(3), *(builders.activity(number, queue="eu") for number in range(4, 8)))
        await worker.run(activities=specs)
        assert sorted(task.number for task in await worker.claim_activities()) == [1, 4, 5, 6, 7]

    async def test_permits_come_free_with_the_worker(self, store: StoreUnderTest) -> None:
        """B2: permits are freed with the worker, that stops or dies."""
        await limit(store, at_once=1)
        await store.create("order-1")
        stops, dies = await store.worker(), await store.worker("worker-2", lease=2)
        last = await store.worker("worker-3", lease=1000)
        await stops.run(activities=numbered(3))
        assert await begun(stops) == 1
        await stops.stop()
        assert await begun(dies) == 1
        assert await begun(last) == 0
        await store.advance(3)
        await store.backend.housekeep()
        assert await begun(last) == 1

    async def test_permits_come_free_with_the_instance(self, store: StoreUnderTest) -> None:
        await limit(store, at_once=1)
        worker = await store.worker()
        attempt = await store.scheduled(worker, "order-1")
        await store.signal("order-1")
        await worker.run(closing=builders.completed())
        assert await worker.complete(attempt) == Recorded()
        await store.create("order-2")
        await worker.run(activities=numbered(2))
        assert await begun(worker) == 1

    async def test_no_more_begin_per_second_than_the_queue_allows(self, store: StoreUnderTest) -> None:
        """B2: a burst of one second's worth at most, then as the rate gives them."""
        await limit(store, per_second=2 / store.unit_seconds)
        capacity = max(1, int(2 / store.unit_seconds))
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(activities=numbered(capacity + 20))
        claimed = await worker.claim(0, 1000)
        assert len(claimed.activity_tasks) in (capacity, capacity + 1)
        assert claimed.next_due_at is not None
        await store.advance(2)
        assert min(4, capacity) <= await begun(worker) <= capacity

    async def test_limits_hold_from_the_next_claim_on_until_they_are_deleted(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(activities=numbered(9))
        assert len(await worker.claim_activities(2)) == 2
        await limit(store, at_once=3)
        assert await begun(worker) == 1
        await limit(store, at_once=4)
        assert await begun(worker) == 1
        assert await store.backend.delete_setting(SettingKind.QUEUE, "default") is True
        assert await begun(worker) == 5
