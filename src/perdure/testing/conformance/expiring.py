"""What every store promises about removal in bulk: step by step, by several at once, and by itself after a while."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.backends.protocol import Backend
from perdure.errors import InstanceNotFound
from perdure.model.event import SubWorkflowCompleted
from perdure.model.inspection import Ended, InstanceFilter
from perdure.model.instance import State
from perdure.model.options import IfExists, ParentClose
from perdure.model.retention import StoredRetention
from perdure.model.transition import Administered, Created, Remove, Terminate
from perdure.testing.conformance import builders
from perdure.testing.conformance.keeping import rich
from perdure.testing.conformance.playing import StoreUnderTest


def retention(store: StoreUnderTest, **units: float) -> dict[str, Any]:
    """How long something is kept, in units of time, as a part of what is created."""
    return {"retention": StoredRetention(**{end: store.micros(kept) for end, kept in units.items()})}


async def ids(store: StoreUnderTest) -> list[str]:
    page = await store.backend.list_instances()
    return sorted(instance.instance_id for instance in page.items)


async def prune_all(backend: Backend, where: InstanceFilter, limit: int) -> int:
    """Step by step."""
    removed, after = 0, None
    while True:
        pruned = await backend.prune(where, after=after, limit=limit)
        removed, after = removed + pruned.removed, pruned.last
        if after is None:
            return removed


class Pruning:
    async def test_steps_of_pruning_pass_over_what_does_not_match(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        for number in range(9):
            await store.finished(worker, f"order-{number}", closing=(builders.completed, builders.failed)[number % 2]())
        where = InstanceFilter(states=frozenset({State.COMPLETED}))
        first = await store.backend.prune(where, limit=2)
        assert first.removed == 2
        assert isinstance(first.last, Ended)
        second = await store.backend.prune(where, after=first.last, limit=2)
        assert second.last is not None
        assert second.last > first.last
        last = await store.backend.prune(where, after=second.last, limit=2)
        assert (second.removed, last.removed, last.last) == (2, 1, None)
        assert await ids(store) == ["order-1", "order-3", "order-5", "order-7"]

    async def test_what_ended_at_one_moment_is_pruned_whole(self, store: StoreUnderTest) -> None:
        """A batch has one time for all of them; steps end among them."""
        await store.create("parent")
        worker = await store.worker()
        children = tuple(
            builders.sub_workflow(f"child-{number}", number, parent_close=ParentClose.TERMINATE)
            for number in range(1, 8)
        )
        await worker.run(messages=children)
        await store.backend.commit(Terminate(instance_id="parent"))
        for name in [f"child-{number}" for number in range(1, 8)]:
            await store.backend.wait_for_outcome(name, 10)
        assert await prune_all(store.backend, InstanceFilter(id_prefix="child"), 3) == 7
        assert await ids(store) == ["parent"]

    async def test_two_who_prune_at_once_count_each_instance_once(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        for number in range(40):
            await store.finished(worker, f"order-{number}")
        twin = store.backend.twin()
        await twin.open()
        try:
            both = await asyncio.gather(*(prune_all(each, InstanceFilter(), 7) for each in (store.backend, twin)))
        finally:
            await twin.close()
        assert sum(both) == 40
        assert await ids(store) == []


class Expiring:
    async def test_what_has_no_retention_stays(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        await store.finished(worker)
        await store.advance(10)
        assert await store.backend.remove_expired() == 0
        assert (await store.backend.read_instance("order-1")).remove_at is None

    async def test_an_instance_goes_whole_when_it_was_kept_for_long_enough(self, store: StoreUnderTest) -> None:
        """B8: nothing of it is left. The retention of the start holds after continue-as-new, and for the whole chain."""
        empty = None if store.count_rows is None else await store.count_rows()
        worker = await store.worker(lease=1000)
        await store.create("order-1", **retention(store, completed=2))
        await worker.run(published={"step": b"1"})
        await store.signal("order-1")
        await worker.run(closing=builders.continued())
        await store.signal("order-1")
        await store.advance(2.2)
        assert await store.backend.remove_expired() == 0
        await worker.run(closing=builders.completed())
        ended = await store.backend.read_instance("order-1")
        assert ended.ended_at is not None
        assert ended.remove_at is not None
        assert (ended.remove_at - ended.ended_at).total_seconds() == pytest.approx(2 * store.unit_seconds)
        assert await store.backend.remove_expired() == 0
        await store.advance(2.2)
        assert await store.backend.remove_expired() == 1
        with pytest.raises(InstanceNotFound):
            await store.backend.read_instance("order-1")
        assert empty is None or store.count_rows is None or await store.count_rows() == empty
        assert await store.backend.remove_expired() == 0

    async def test_each_way_to_end_has_its_own_retention(self, store: StoreUnderTest) -> None:
        """Ends that no worker brings count as well."""
        worker = await store.worker(lease=1000)
        kept = retention(store, completed=2, failed=5, terminated=2)
        ends = {"completed": builders.completed(), "failed": builders.failed(), "cancelled": builders.cancelled()}
        for name, closing in ends.items():
            await store.create(name, **kept)
            await worker.run(release=True, closing=closing)
        await store.create("late", **kept, timeout=store.micros(0.1))
        await store.create("terminated", **kept)
        await store.backend.commit(Terminate(instance_id="terminated"))
        await store.advance(0.2)
        await store.backend.housekeep()
        await store.advance(2.2)
        assert await store.backend.remove_expired() == 2
        assert await ids(store) == ["cancelled", "failed", "late"]
        await store.advance(3.2)
        assert await store.backend.remove_expired() == 2
        assert await ids(store) == ["cancelled"]

    async def test_no_more_go_at_once_than_are_asked_for(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        for number in range(7):
            await store.create(f"order-{number}", **retention(store, completed=0))
            await worker.run(release=True, closing=builders.completed())
        await store.advance(0.1)
        removed = [await store.backend.remove_expired(limit=3) for _ in range(4)]
        assert sum(removed) == 7
        assert max(removed) == 3
        assert await ids(store) == []

    async def test_a_sub_workflow_goes_while_its_parent_runs(self, store: StoreUnderTest) -> None:
        """The parent has its result already; asking it to cancel, or its parent's end, is nothing to anybody."""
        worker = await store.worker(lease=1000)
        await store.create("parent")
        kept = retention(store, completed=1)
        await worker.run(messages=(builders.sub_workflow("child", 5, parent_close=ParentClose.TERMINATE, **kept),))
        child = await worker.claim_workflow_task()
        assert child.instance_id == "child"
        await worker.checkpoint(child, closing=builders.completed(b"42"))
        await store.advance(1.2)
        assert await store.backend.remove_expired() == 1
        task = await worker.claim_workflow_task()
        assert [type(each.event) for each in task.pending] == [SubWorkflowCompleted]
        await worker.checkpoint(task, messages=(builders.send_cancel("child", 5),), closing=builders.completed())
        assert (await store.backend.read_instance("parent")).state is State.COMPLETED

    async def test_who_takes_the_place_of_an_expired_instance_stays(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        await store.create("order-1", **retention(store, completed=1))
        await worker.run(release=True, closing=builders.completed())
        await store.advance(1.2)
        again = builders.create("order-1", if_exists=IfExists.RESTART)
        assert isinstance(await store.backend.commit(again), Created)
        assert await store.backend.remove_expired() == 0
        await worker.run(release=True, closing=builders.completed())
        await store.advance(1.2)
        assert await store.backend.remove_expired() == 0

    async def test_what_was_removed_by_hand_does_not_expire(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        await store.create("order-1", **retention(store, completed=1))
        await worker.run(release=True, closing=builders.completed())
        assert await store.backend.commit(Remove(instance_id="order-1")) == Administered()
        await store.advance(1.2)
        assert await store.backend.remove_expired() == 0

    async def test_retention_moves_with_the_instance(self, store: StoreUnderTest) -> None:
        """B12: of one that has ended, and of one that runs."""
        empty = None if store.count_rows is None else await store.count_rows()
        worker = await store.worker(lease=1000)
        kept = retention(store, completed=1, terminated=1)
        await store.create("ended", **kept)
        await worker.run(release=True, closing=builders.completed())
        await store.create("running", **kept)
        exported = [each async for each in store.backend.export_instances()]
        await store.backend.commit(Terminate(instance_id="running"))
        for name in ("ended", "running"):
            await store.backend.commit(Remove(instance_id=name))
        for each in exported:
            assert await store.backend.import_instance(each)
        await store.backend.commit(Terminate(instance_id="running"))
        await store.advance(1.2)
        assert await store.backend.remove_expired() == 2
        assert empty is None or store.count_rows is None or await store.count_rows() == empty

    async def test_what_had_everything_goes_whole_by_itself(self, store: StoreUnderTest) -> None:
        if store.count_rows is None:
            pytest.skip("the store doesn't count its rows")
        empty = await store.count_rows()
        await rich(store, "order-1", **retention(store, terminated=0))
        await store.advance(0.1)
        assert await store.backend.remove_expired() == 1
        await store.backend.commit(Remove(instance_id="order-1-child"))
        assert await store.count_rows() == empty
