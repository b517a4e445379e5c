"""What every store promises about claims: in which order, to whom, and never twice."""

from __future__ import annotations

import asyncio

from perdure.model.inspection import SettingKind
from perdure.model.transition import Suspend
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest, names_of


class Claiming:
    async def test_workflow_tasks_come_by_priority_then_by_age(self, store: StoreUnderTest) -> None:
        """B2: claims go by priority, then by the instance's age."""
        for name, priority in (("old", 0), ("low", -5), ("urgent", 9), ("young", 0), ("later urgent", 9)):
            await store.create(name, priority=priority)
        worker = await store.worker()
        first = await worker.claim_workflow_tasks(3)
        second = await worker.claim_workflow_tasks(3)
        assert [task.instance_id for task in (*first, *second)] == ["urgent", "later urgent", "old", "young", "low"]

    async def test_an_old_instance_goes_before_new_ones_whenever_it_becomes_due(self, store: StoreUnderTest) -> None:
        """B2: by the instance's age, not by when the task became due."""
        worker = await store.worker()
        await store.create("old")
        await worker.run(release=True)
        await store.create("new")
        await store.signal("old")
        tasks = await worker.claim_workflow_tasks(1)
        assert [task.instance_id for task in tasks] == ["old"]

    async def test_activity_tasks_come_by_priority_then_by_age_then_by_number(self, store: StoreUnderTest) -> None:
        """B2: the same order."""
        worker = await store.worker()
        await store.create("old")
        await store.create("young")
        old, young = await worker.claim_workflow_tasks()
        await worker.checkpoint(young, activities=(builders.activity(1), builders.activity(2, priority=5)))
        await worker.checkpoint(old, activities=(builders.activity(1), builders.activity(2), builders.activity(3)))
        tasks = [*await worker.claim_activities(2), *await worker.claim_activities()]
        assert [(task.instance_id, task.number) for task in tasks] == [
            ("young", 2),
            ("old", 1),
            ("old", 2),
            ("old", 3),
            ("young", 1),
        ]

    async def test_no_more_is_claimed_than_there_are_slots(self, store: StoreUnderTest) -> None:
        """K1; the trap "empty options meaning zero pollers": no slots are no tasks, some slots are some."""
        worker = await store.worker()
        for number in range(5):
            await store.create(f"order-{number}")
        assert (await worker.claim(0, 0)).workflow_tasks == ()
        tasks = await worker.claim_workflow_tasks(3)
        assert len(tasks) == 3
        await worker.checkpoint(tasks[0], activities=tuple(builders.activity(number) for number in range(1, 6)))
        assert len(await worker.claim_activities(4)) == 4
        assert len(await worker.claim_activities(4)) == 1

    async def test_nothing_is_ever_leased_twice(self, store: StoreUnderTest) -> None:
        """B3: however many workers claim at once."""
        for number in range(60):
            await store.create(f"order-{number}")
        workers = [await store.worker(f"worker-{number}") for number in range(4)]
        claims = await asyncio.gather(*(worker.claim(7, 0) for worker in workers for _ in range(4)))
        claimed = [task.instance_id for claim in claims for task in claim.workflow_tasks]
        assert len(claimed) == len(set(claimed)) == 60
        assert len({task.token for claim in claims for task in claim.workflow_tasks}) == 60

    async def test_activities_are_never_leased_twice(self, store: StoreUnderTest) -> None:
        """B3."""
        await store.create("order-1")
        workers = [await store.worker(f"worker-{number}") for number in range(4)]
        await workers[0].run(activities=tuple(builders.activity(number) for number in range(1, 41)))
        claims = await asyncio.gather(*(worker.claim(0, 5) for worker in workers for _ in range(3)))
        claimed = [task.number for claim in claims for task in claim.activity_tasks]
        assert len(claimed) == len(set(claimed)) == 40

    async def test_a_task_that_is_out_does_not_come_again(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker, other = await store.worker(), await store.worker("worker-2")
        await worker.claim_workflow_task()
        await store.signal("order-1")
        assert await worker.claim_workflow_tasks() == ()
        assert await other.claim_workflow_tasks() == ()

    async def test_an_instance_in_memory_comes_back_to_its_holder_only(self, store: StoreUnderTest) -> None:
        """B3: the lease stays with the worker, and its token."""
        await store.create("order-1")
        holder, other = await store.worker(), await store.worker("worker-2")
        first = await holder.run()
        await store.signal("order-1")
        assert await other.claim_workflow_tasks() == ()
        second = await holder.claim_workflow_task()
        assert second.token == first.token
        assert (await store.backend.read_instance("order-1")).worker == "worker-1"

    async def test_a_released_instance_goes_to_anybody_with_another_token(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        first, second = await store.worker(), await store.worker("worker-2")
        before = await first.claim_workflow_task()
        assert await first.release(before) is True
        after = await second.claim_workflow_task()
        assert after.token != before.token
        assert after.pending == before.pending
        assert await first.release(before) is False

    async def test_a_worker_gets_what_its_queues_have(self, store: StoreUnderTest) -> None:
        """K1."""
        for queue in ("eu", "us", "asia"):
            await store.create(f"order-{queue}", queue=queue)
        worker = await store.worker(workflow_queues=("eu", "us"), activity_queues=("eu",))
        tasks = await worker.claim_workflow_tasks()
        assert [task.instance_id for task in tasks] == ["order-eu", "order-us"]
        specs = (builders.activity(1, queue="eu"), builders.activity(2, queue="us"))
        await worker.checkpoint(tasks[0], activities=specs)
        assert [task.number for task in await worker.claim_activities()] == [1]

    async def test_names_that_a_worker_does_not_know_stay_for_others(self, store: StoreUnderTest) -> None:
        """E4; the trap "a worker without the type failing the workflow for good"."""
        await store.create("order-1", workflow="new")
        await store.create("order-2")
        old, new = await store.worker(), await store.worker("worker-2", workflow_names=frozenset({"new"}))
        assert (await old.claim_workflow_task()).instance_id == "order-2"
        task = await new.claim_workflow_task()
        assert task.instance_id == "order-1"
        await new.checkpoint(task, activities=(builders.activity(1, name="unheard of"), builders.activity(2)))
        assert [activity.number for activity in await old.claim_activities()] == [2]

    async def test_many_unknown_ones_in_front_hide_none_behind_them(self, store: StoreUnderTest) -> None:
        for number in range(150):
            await store.create(f"unknown-{number}", workflow="unknown")
        await store.create("order-1")
        worker = await store.worker()
        assert [task.instance_id for task in await worker.claim_workflow_tasks(1)] == ["order-1"]

    async def test_versions_are_left_to_those_who_take_them(self, store: StoreUnderTest) -> None:
        """W12: a worker can be told to claim only given versions."""
        await store.create("order-1", version="1")
        await store.create("order-2", version="2")
        await store.create("order-3", version=None)
        picky = await store.worker(versions=frozenset({"2"}))
        assert (await picky.claim_workflow_task()).instance_id == "order-2"
        anybody = await store.worker("worker-2")
        assert len(await anybody.claim_workflow_tasks()) == 2

    async def test_a_suspended_instance_gives_no_tasks(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(activities=(builders.activity(),))
        await store.signal("order-1")
        await store.backend.commit(Suspend(instance_id="order-1"))
        claimed = await worker.claim()
        assert (claimed.workflow_tasks, claimed.activity_tasks) == ((), ())

    async def test_a_paused_queue_begins_no_activity(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(activities=(builders.activity(),))
        await store.backend.put_setting(SettingKind.QUEUE, "default", b'{"paused": true}')
        assert await worker.claim_activities() == ()
        await store.backend.delete_setting(SettingKind.QUEUE, "default")
        assert len(await worker.claim_activities()) == 1

    async def test_a_worker_that_never_started_claims_nothing(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.stop()
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_task_has_all_that_its_worker_needs(self, store: StoreUnderTest) -> None:
        created = await store.create("order-1", priority=2, version="1", timeout=60_000_000)
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        assert (task.instance_key, task.execution_id) == (created.instance_key, created.execution_id)
        assert (task.workflow, task.queue, task.priority, task.version) == ("checkout", "default", 2, "1")
        assert (task.position, task.history_bytes, task.parent, task.stuck_attempts) == (0, 0, None, 0)
        assert task.deadline_at == task.created_at + 60_000_000
        assert task.now >= task.created_at
        assert names_of(task) == ["ExecutionStarted"]
        written = await worker.checkpoint(task)
        await store.signal("order-1")
        assert (await worker.claim_workflow_task()).history_bytes == written.events_bytes > 0

    async def test_an_activity_task_has_all_that_its_worker_needs(self, store: StoreUnderTest) -> None:
        created = await store.create("order-1")
        worker = await store.worker()
        spec = builders.activity(
            7,
            arguments=b"[42]",
            priority=4,
            timeout=1,
            total_timeout=60_000_000,
            heartbeat_timeout=3,
            headers={"a": "b"},
        )
        await worker.run(activities=(spec,))
        task = await worker.claim_activity()
        assert (task.instance_key, task.execution_id) == (created.instance_key, created.execution_id)
        assert (task.instance_id, task.workflow) == ("order-1", "checkout")
        assert (task.number, task.name, task.arguments, task.queue) == (7, "charge", b"[42]", "default")
        assert (task.priority, task.attempt, task.retry) == (4, 1, builders.RETRY)
        assert (task.timeout, task.heartbeat_timeout, task.headers) == (1, 3, {"a": "b"})
        assert task.total_deadline_at == task.scheduled_at + 60_000_000
        assert (task.heartbeat_details, task.last_failure, task.cancel_requested) == (None, None, False)

    async def test_a_claim_says_when_more_will_be_due(self, store: StoreUnderTest) -> None:
        """B6: a claim also returns the next due time."""
        worker = await store.worker()
        await store.create("order-1", start_delay=store.micros(50))
        await store.create("order-2", start_delay=store.micros(20))
        claimed = await worker.claim()
        instance = await store.backend.read_instance("order-2")
        assert instance.due_at is not None
        assert claimed.next_due_at is not None
        assert abs(claimed.next_due_at - int(instance.due_at.timestamp() * 1_000_000)) <= 1

    async def test_nothing_to_come_has_no_next_due_time(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        assert (await worker.claim()).next_due_at is None

    async def test_many_due_timers_are_claimed_at_once(self, store: StoreUnderTest) -> None:
        """The trap "one due timer per task"."""
        for number in range(30):
            await store.create(f"order-{number}", start_delay=store.micros(1))
        await store.advance(1.5)
        assert len(await (await store.worker()).claim_workflow_tasks()) == 30
