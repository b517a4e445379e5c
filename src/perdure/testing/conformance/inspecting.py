"""What every store promises to operators who look: listings, counts, queues, workers, histories."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from perdure.clock import to_datetime
from perdure.errors import ConfigurationError
from perdure.model.inspection import InstanceFilter
from perdure.model.instance import State
from perdure.model.options import IfExists
from perdure.model.transition import ActivityRetry, Remove, Resume, Suspend, Terminate
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest


async def ids(store: StoreUnderTest, **conditions: Any) -> list[str]:
    """The ids of all instances that match, over all pages."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await store.backend.list_instances(InstanceFilter(**conditions), cursor=cursor, limit=2)
        assert len(page.items) <= 2
        found.extend(instance.instance_id for instance in page.items)
        if page.cursor is None:
            return found
        cursor = page.cursor


class Listing:
    async def test_instances_are_listed_newest_first(self, store: StoreUnderTest) -> None:
        for number in range(5):
            await store.create(f"order-{number}")
        assert await ids(store) == ["order-4", "order-3", "order-2", "order-1", "order-0"]

    async def test_an_empty_store_has_one_empty_page(self, store: StoreUnderTest) -> None:
        page = await store.backend.list_instances()
        assert (page.items, page.cursor) == ((), None)
        assert await store.backend.count_instances() == {}

    async def test_a_full_last_page_leads_nowhere(self, store: StoreUnderTest) -> None:
        for number in range(4):
            await store.create(f"order-{number}")
        first = await store.backend.list_instances(limit=2)
        assert first.cursor is not None
        second = await store.backend.list_instances(cursor=first.cursor, limit=2)
        assert len(second.items) == 2
        assert second.cursor is None

    async def test_a_cursor_stays_good_while_instances_come_and_go(self, store: StoreUnderTest) -> None:
        """The cursor names a place, not a count: nothing is skipped or shown twice."""
        worker = await store.worker()
        for number in range(8):
            await store.finished(worker, f"order-{number}")
        page = await store.backend.list_instances(limit=3)
        seen = [instance.instance_id for instance in page.items]
        while page.cursor is not None:
            await store.create(f"new-{len(seen)}")
            await store.backend.commit(Remove(instance_id=seen[-1]))
            page = await store.backend.list_instances(cursor=page.cursor, limit=3)
            seen.extend(instance.instance_id for instance in page.items)
        assert seen == [f"order-{number}" for number in reversed(range(8))]

    async def test_what_is_no_cursor_is_refused(self, store: StoreUnderTest) -> None:
        for cursor in ("", "x", "' or 1=1 --", "🙂"):
            with pytest.raises(ConfigurationError):
                await store.backend.list_instances(cursor=cursor)

    async def test_by_state_workflow_and_queue(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "done")
        await store.finished(worker, "failed", closing=builders.failed())
        await store.create("eu", queue="eu")
        await store.create("ship", workflow="ship")
        assert await ids(store, states=frozenset({State.COMPLETED, State.FAILED})) == ["failed", "done"]
        assert await ids(store, states=frozenset({State.TERMINATED})) == []
        assert await ids(store, workflow="ship") == ["ship"]
        assert await ids(store, queue="eu") == ["eu"]
        assert await ids(store, workflow="checkout", states=frozenset({State.RUNNING})) == ["eu"]

    async def test_by_parts_of_the_id(self, store: StoreUnderTest) -> None:
        for name in ("order-1", "order-10", "Order-2", "a_b", "a%b", "axb", "a\\b", "a*b"):
            await store.create(name)
        assert await ids(store, id_prefix="order-1") == ["order-10", "order-1"]
        assert await ids(store, id_prefix="ORDER") == []
        assert await ids(store, id_contains="rder-") == ["Order-2", "order-10", "order-1"]
        for pattern in ("_", "%", "\\", "*"):
            assert await ids(store, id_contains=pattern) == [f"a{pattern}b"]
            assert await ids(store, id_prefix=f"a{pattern}") == [f"a{pattern}b"]

    async def test_by_time_from_included_to_excluded(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        for name in ("a", "b", "c"):
            await store.finished(worker, name)
            await store.advance(0.5)
        middle = await store.backend.read_instance("b")
        assert await ids(store, created_from=middle.created_at) == ["c", "b"]
        assert await ids(store, created_to=middle.created_at) == ["a"]
        after = middle.created_at + timedelta(microseconds=1)
        assert await ids(store, created_from=middle.created_at, created_to=after) == ["b"]
        assert middle.ended_at is not None
        assert await ids(store, ended_to=middle.ended_at) == ["a"]
        await store.create("running")
        assert await ids(store, ended_to=await store.backend.now() + timedelta(days=1)) == ["c", "b", "a"]

    async def test_by_the_time_since_which_nothing_happened(self, store: StoreUnderTest) -> None:
        """A step and an arrival count; claims, attempts and heartbeats don't: an activity that fails for ever waits long."""
        worker = await store.worker(lease=1000)
        await store.finished(worker, "ended")
        for name in ("signalled", "stepped", "waits"):
            await store.create(name)
        stepped = (await worker.claim_workflow_tasks())[1]
        await store.advance(0.5)
        await worker.checkpoint(stepped, activities=(builders.activity(1),))
        began = (await store.backend.read_instance("stepped")).updated_at
        assert await ids(store, updated_to=began) == ["waits", "signalled", "ended"]
        await store.advance(0.5)
        await store.signal("signalled")
        await worker.complete(await worker.claim_activity(), ActivityRetry(builders.FAILURE, store.micros(1000)))
        arrived = (await store.backend.read_instance("signalled")).updated_at
        assert await ids(store, updated_to=arrived, states=frozenset({State.RUNNING})) == ["waits", "stepped"]
        where = InstanceFilter(updated_to=arrived)
        assert await store.backend.count_instances(where) == {State.RUNNING: 2, State.COMPLETED: 1}

    async def test_by_tags_which_must_all_fit(self, store: StoreUnderTest) -> None:
        await store.create("a", tags={"shop": "7", "vip": "yes"})
        await store.create("b", tags={"shop": "7"})
        await store.create("c", tags={"shop": "71", "seven": "shop"})
        await store.create("odd", tags={"a.b": "x'y", 'q"[0]': "é"})
        assert await ids(store, tags={"shop": "7"}) == ["b", "a"]
        assert await ids(store, tags={"shop": "7", "vip": "yes"}) == ["a"]
        assert await ids(store, tags={"shop": "7", "vip": "no"}) == []
        assert await ids(store, tags={"a.b": "x'y", 'q"[0]': "é"}) == ["odd"]
        assert len(await ids(store, tags={})) == 4

    async def test_by_version(self, store: StoreUnderTest) -> None:
        """W12: which instances of the old code are left."""
        worker = await store.worker()
        await store.finished(worker, "ended")
        await store.create("old", version="1")
        await store.create("new", version="2")
        await store.create("newer", version="21")
        assert await ids(store, version="1") == ["old"]
        assert await ids(store, version="2", states=frozenset({State.RUNNING})) == ["new"]
        assert await ids(store, version="3") == []

    async def test_by_parent_stuck_and_suspended(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.create("parent")
        await worker.run(messages=(builders.sub_workflow("child-1", 1), builders.sub_workflow("child-2", 2)))
        stuck, _ = await worker.claim_workflow_tasks()
        await worker.mark_stuck(stuck, None)
        await store.backend.commit(Suspend(instance_id="child-2"))
        assert await ids(store, parent_instance_id="parent") == ["child-2", "child-1"]
        assert await ids(store, stuck=True) == ["child-1"]
        assert await ids(store, stuck=False) == ["child-2", "parent"]
        assert await ids(store, suspended=True) == ["child-2"]
        assert await ids(store, suspended=False) == ["child-1", "parent"]
        assert await ids(store, stuck=True, states=frozenset({State.COMPLETED})) == []
        for where in (
            InstanceFilter(stuck=True),
            InstanceFilter(suspended=True),
            InstanceFilter(stuck=True, suspended=False),
        ):
            assert await store.backend.count_instances(where) == {State.RUNNING: 1}
        assert await store.backend.count_instances(InstanceFilter(stuck=True, queue="eu")) == {}
        await store.backend.commit(Terminate(instance_id="child-1"))
        await store.backend.commit(Terminate(instance_id="child-2"))
        assert await ids(store, stuck=True) == await ids(store, suspended=True) == []
        assert await ids(store, stuck=False, suspended=False) == ["child-2", "child-1", "parent"]

    async def test_who_goes_on_is_neither_stuck_nor_suspended(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.create("was stuck")
        await worker.mark_stuck(await worker.claim_workflow_task(), None)
        await store.create("was suspended")
        await store.backend.commit(Suspend(instance_id="was suspended"))
        for name in ("was stuck", "was suspended"):
            await store.backend.commit(Resume(instance_id=name))
            task = await worker.claim_workflow_task()
            await worker.checkpoint(task)
        assert await ids(store, stuck=True) == await ids(store, suspended=True) == []
        assert await store.backend.count_instances(InstanceFilter(stuck=True)) == {}
        assert await store.backend.count_instances(InstanceFilter(suspended=True)) == {}

    async def test_counts_are_by_state(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "done")
        await store.create("a")
        await store.create("b", queue="eu")
        await store.create("c")
        await store.backend.commit(Terminate(instance_id="c"))
        assert await store.backend.count_instances() == {
            State.COMPLETED: 1,
            State.RUNNING: 2,
            State.TERMINATED: 1,
        }
        assert await store.backend.count_instances(InstanceFilter(queue="eu")) == {State.RUNNING: 1}


class Reading:
    async def test_history_is_read_in_pages(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(*(builders.marked(number) for number in range(1, 5)))
        for position in range(5, 10):
            await worker.checkpoint(task, builders.marked(position), position=position, events=())
        for after in (-1, 0, 3, 4, 7):
            page = await store.backend.read_history("order-1", after=after, limit=4)
            assert [event.position for event in page] == list(range(10))[after + 1 : after + 5]
        assert list(await store.backend.read_history("order-1", after=9)) == []

    async def test_an_execution_that_is_none_has_no_history(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        assert list(await store.backend.read_history("order-1", execution_id="00" * 16)) == []

    async def test_the_outcome_is_kept(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "done", closing=builders.completed(b"7"))
        await store.finished(worker, "failed", closing=builders.failed())
        done, failed = await store.backend.read_outcome("done"), await store.backend.read_outcome("failed")
        assert done is not None
        assert (done.instance_id, done.workflow, done.state) == ("done", "checkout", State.COMPLETED)
        assert (done.result, done.failure) == (b"7", None)
        assert failed is not None
        assert (failed.state, failed.result, failed.failure) == (State.FAILED, None, builders.FAILURE)

    async def test_activities_that_have_not_ended_are_shown_by_number(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(activities=(builders.activity(2), builders.activity(1, name="pack", queue="eu")))
        await worker.complete(await worker.claim_activity(), ActivityRetry(builders.FAILURE, store.micros(1000)))
        first, second = await store.backend.read_activities("order-1")
        assert (first.number, first.name, first.queue, first.attempt) == (1, "pack", "eu", 1)
        assert (first.worker, first.last_failure, first.lost) == (None, None, 0)
        assert (second.number, second.attempt, second.last_failure) == (2, 2, builders.FAILURE)
        assert second.due_at > first.due_at

    async def test_a_waiting_instance_says_when_it_is_due(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await worker.checkpoint(task, next_timer_at=task.now + 1_234_567)
        instance = await store.backend.read_instance("order-1")
        assert instance.due_at == to_datetime(task.now + 1_234_567)
        await worker.checkpoint(task, position=1, events=())
        assert (await store.backend.read_instance("order-1")).due_at is None

    async def test_updated_at_moves_with_each_change(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        seen = [(await store.backend.read_instance("order-1")).updated_at]
        worker = await store.worker(lease=1000)
        await store.advance(0.1)
        await store.signal("order-1")
        seen.append((await store.backend.read_instance("order-1")).updated_at)
        await store.advance(0.1)
        await worker.run(closing=builders.completed())
        ended = await store.backend.read_instance("order-1")
        seen.append(ended.updated_at)
        assert seen == sorted(set(seen))
        assert ended.ended_at == ended.updated_at


class Overlooking:
    async def test_queues_say_what_waits_and_what_runs(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        assert list(await store.backend.list_queues()) == []
        await store.create("order-1")
        await worker.run(activities=(*(builders.activity(n) for n in range(1, 4)), builders.activity(4, queue="eu")))
        await worker.claim_activities(1)
        before = await store.backend.now()
        await store.advance(0.1)
        for name in ("a", "b"):
            await store.create(name)
        await store.create("later", queue="quiet", start_delay=store.micros(1000))
        queues = {status.queue: status for status in await store.backend.list_queues()}
        assert sorted(queues) == ["default", "eu"]
        default = queues["default"]
        assert (default.workflow_tasks, default.activity_tasks, default.running_activities) == (2, 2, 1)
        assert default.oldest_due_at is not None
        assert default.oldest_due_at <= before
        assert (queues["eu"].workflow_tasks, queues["eu"].activity_tasks) == (0, 1)

    async def test_tasks_in_somebodys_hands_do_not_wait(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.claim_workflow_task()
        assert list(await store.backend.list_queues()) == []

    async def test_workers_are_listed_by_their_start(self, store: StoreUnderTest) -> None:
        first = await store.worker("z", workflow_queues=("eu",), lease=2)
        await store.advance(0.1)
        second = await store.worker("a", lease=1000)
        await store.scheduled(second)
        one, two = await store.backend.list_workers()
        assert (one.worker, two.worker) == ("z", "a")
        assert one.workflow_queues == ("eu",)
        assert (one.instances, one.activities, two.instances, two.activities) == (0, 0, 1, 1)
        assert one.is_alive
        await store.advance(1)
        await store.backend.beat(second.key)
        await store.advance(1.5)
        await store.backend.housekeep()
        listed = {status.worker: status for status in await store.backend.list_workers()}
        assert listed["a"].is_alive
        assert listed["a"].last_heartbeat_at > two.last_heartbeat_at
        assert not listed["z"].is_alive
        await first.stop()

    async def test_workers_may_start_all_at_once(self, store: StoreUnderTest) -> None:
        """B3: a new id for each start; the trap "migrations of two workers racing" has its store's own test."""
        workers = await asyncio.gather(*(store.worker("the same name") for _ in range(10)))
        assert len({worker.key for worker in workers}) == 10
        assert len(await store.backend.list_workers()) == 10

    async def test_a_restart_is_a_new_instance_in_the_listing(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "order-1")
        await store.create("order-2")
        request = builders.create("order-1", if_exists=IfExists.RESTART)
        await store.backend.commit(request)
        assert await ids(store) == ["order-1", "order-2"]
