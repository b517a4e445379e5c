"""What every store promises about export, import and the seal."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from perdure.backends.seals import filling_from
from perdure.clock import random_id
from perdure.errors import InstanceAlreadyExists, StoreCorrupt, StoreFilling, StoreSealed
from perdure.model.inspection import ExportedInstance, InstanceFilter, QueueLimits, SettingKind
from perdure.model.instance import Outcome, State
from perdure.model.transition import (
    ActivityRetry,
    Appended,
    Created,
    Heartbeat,
    Rejected,
    Remove,
    Suspend,
    Terminate,
    Transition,
)
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest, names_of


async def exported(store: StoreUnderTest, **conditions: Any) -> list[ExportedInstance]:
    return [some async for some in store.backend.export_instances(InstanceFilter(**conditions))]


async def moved(store: StoreUnderTest, name: str = "order-1") -> None:
    """Take the instance out and in again, under another key."""
    (some,) = await exported(store, id_prefix=name)
    await store.backend.commit(Terminate(instance_id=name))
    await store.backend.commit(Remove(instance_id=name))
    assert await store.backend.import_instance(some) is True


class Moving:
    async def test_instances_are_exported_oldest_first(self, store: StoreUnderTest) -> None:
        for name in ("a", "b", "c"):
            await store.create(name)
        assert [some.instance_id for some in await exported(store)] == ["a", "b", "c"]
        assert [some.instance_id for some in await exported(store, id_prefix="b")] == ["b"]

    async def test_an_export_is_plain_data(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "order-1", published={"key": b"\xff"})
        (some,) = await exported(store)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(some), type=ExportedInstance) == some

    async def test_an_ended_instance_comes_over_whole(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        created = await store.create("order-1", tags={"a": "b"}, priority=3, version="1")
        blob_id = random_id()
        await store.backend.put_blob(created.instance_key, blob_id, b"blob")
        await worker.run(builders.marked(), closing=builders.continued(), published={"key": b"1"})
        await worker.run(closing=builders.completed(b"7"))
        before = await store.backend.read_instance("order-1")
        chain = list(await store.backend.read_executions("order-1"))
        histories = [list(await store.backend.read_history("order-1", execution_id=e.execution_id)) for e in chain]
        (some,) = await exported(store)
        await store.backend.commit(Remove(instance_id="order-1"))
        assert await store.backend.import_instance(some) is True
        assert await store.backend.read_instance("order-1") == before
        assert list(await store.backend.read_executions("order-1")) == chain
        for execution, history in zip(chain, histories, strict=True):
            read = await store.backend.read_history("order-1", execution_id=execution.execution_id)
            assert list(read) == history
        assert await store.backend.read_published("order-1", "key") == b"1"
        assert await store.backend.read_blob(blob_id) == b"blob"
        assert await store.backend.read_outcome("order-1") == Outcome(
            instance_id="order-1", workflow="checkout", state=State.COMPLETED, result=b"7"
        )
        assert (await exported(store)) == [some]

    async def test_a_running_instance_goes_on_where_it_was(self, store: StoreUnderTest) -> None:
        """B12: executions and message ids travel; leases don't."""
        await store.create("order-1")
        message = builders.append_signal("order-1", "kept")
        await store.backend.commit(message)
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await worker.checkpoint(
            task, consumed=(), events=(task.pending[0].event,), activities=(builders.activity(1), builders.activity(2))
        )
        first, leased = await worker.claim_activities()
        await worker.complete(first, ActivityRetry(builders.FAILURE, 0))
        await moved(store)
        assert isinstance(await worker.try_checkpoint(task, position=1), Rejected)
        assert await worker.heartbeat(leased) == Heartbeat(is_held=False)
        assert await store.backend.commit(message) == Appended()
        again = await worker.claim_workflow_task()
        assert (again.execution_id, again.position, names_of(again)) == (task.execution_id, 1, ["kept"])
        attempts = await worker.claim_activities()
        assert [(some.number, some.attempt, some.last_failure) for some in attempts] == [
            (1, 2, builders.FAILURE),
            (2, 1, None),
        ]
        await store.signal("order-1", "new")
        await worker.checkpoint(again)
        assert [pending.id for pending in (await worker.claim_workflow_task()).pending] == [2]

    async def test_an_instance_that_has_not_begun_begins_there(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        await store.backend.commit(Suspend(instance_id="order-1"))
        await moved(store)
        instance = await store.backend.read_instance("order-1")
        assert (instance.suspended, instance.history_length) == (True, 1)
        worker = await store.worker()
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_timer_travels(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker(lease=1000)
        task = await worker.claim_workflow_task()
        await worker.checkpoint(task, next_timer_at=task.now + store.micros(3))
        await moved(store)
        assert await worker.claim_workflow_tasks() == ()
        await store.advance(3.2)
        assert (await worker.claim_workflow_task()).position == 1

    async def test_a_stuck_instance_stays_stuck(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.mark_stuck(await worker.claim_workflow_task(), None)
        before = (await store.backend.read_instance("order-1")).stuck
        await moved(store)
        assert (await store.backend.read_instance("order-1")).stuck == before
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_family_stays_one(self, store: StoreUnderTest) -> None:
        await store.create("parent")
        worker = await store.worker()
        await worker.run(messages=(builders.sub_workflow("child", 5),))
        await worker.run()
        (parent, child) = await exported(store)
        await store.backend.commit(Terminate(instance_id="child"))
        await store.backend.commit(Terminate(instance_id="parent"))
        await store.backend.prune(InstanceFilter())
        for some in (child, parent):
            assert await store.backend.import_instance(some) is True
        await store.signal("child")
        await worker.run(closing=builders.completed())
        assert names_of(await worker.claim_workflow_task()) == ["SubWorkflowCompleted"]

    async def test_age_travels(self, store: StoreUnderTest) -> None:
        """B2: claims go by age, also after a move; B8: copy renumbers."""
        await store.create("old")
        await store.advance(0.01)
        await store.create("young")
        await moved(store, "old")
        tasks = await (await store.worker()).claim_workflow_tasks()
        assert [task.instance_id for task in tasks] == ["old", "young"]

    async def test_importing_twice_is_once(self, store: StoreUnderTest) -> None:
        """B12: a copy that was broken off is begun again."""
        await store.create("order-1")
        (some,) = await exported(store)
        assert await store.backend.import_instance(some) is False
        await store.backend.commit(Terminate(instance_id="order-1"))
        await store.backend.commit(Remove(instance_id="order-1"))
        results = await asyncio.gather(*(store.backend.import_instance(some) for _ in range(3)))
        assert sorted(results) == [False, False, True]
        assert await store.backend.count_instances() == {State.RUNNING: 1}

    async def test_an_import_never_replaces_another_instance(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "order-1")
        (some,) = await exported(store)
        await store.backend.commit(Remove(instance_id="order-1"))
        await store.create("order-1")
        with pytest.raises(InstanceAlreadyExists):
            await store.backend.import_instance(some)
        assert (await store.backend.read_instance("order-1")).state is State.RUNNING

    async def test_what_is_no_export_is_refused_whole(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        (some,) = await exported(store)
        await store.backend.commit(Terminate(instance_id="order-1"))
        await store.backend.commit(Remove(instance_id="order-1"))
        broken: tuple[dict[str, list[dict[str, object]]], ...] = (
            {},
            {**some.tables, "instances": [{"instance_id": "order-1"}]},
        )
        for tables in broken:
            with pytest.raises(StoreCorrupt):
                await store.backend.import_instance(ExportedInstance(instance_id="order-1", tables=tables))
        assert await store.backend.count_instances() == {}


class Sealing:
    async def test_a_sealed_store_refuses_every_transition(self, store: StoreUnderTest) -> None:
        """B12: with a typed error that names the target."""
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        await store.signal("order-1")
        task = await worker.claim_workflow_task()
        (some,) = await exported(store)
        await store.backend.seal("postgresql://elsewhere/db")
        transitions: list[Transition[Any]] = [
            builders.create("order-2"),
            builders.append_signal("order-1"),
            Terminate(instance_id="order-1"),
            Remove(instance_id="order-1"),
        ]
        for transition in transitions:
            with pytest.raises(StoreSealed) as caught:
                await store.backend.commit(transition)
            assert caught.value.target == "postgresql://elsewhere/db"
        for refused in (
            worker.try_checkpoint(task),
            worker.complete(attempt),
            worker.claim(),
            store.worker("worker-2"),
            store.backend.put_setting(SettingKind.SCHEDULE, "a", b"1"),
            store.backend.prune(InstanceFilter()),
            store.backend.import_instance(some),
        ):
            with pytest.raises(StoreSealed):
                await refused

    async def test_a_store_that_is_being_filled_takes_imports_and_settings_alone(self, store: StoreUnderTest) -> None:
        """B12: the target opens when all is there."""
        worker = await store.worker()
        await store.scheduled(worker)
        (some,) = await exported(store)
        await store.backend.commit(Terminate(instance_id="order-1"))
        await store.backend.commit(Remove(instance_id="order-1"))
        await store.backend.seal(filling_from("sqlite:///old.db"))
        for refused in (
            store.backend.commit(builders.create("order-1")),
            worker.claim(),
            store.worker("worker-2"),
            store.backend.prune(InstanceFilter()),
        ):
            with pytest.raises(StoreFilling) as caught:
                await refused
            assert caught.value.source == "sqlite:///old.db"
        assert not (await store.backend.beat(worker.key)).is_alive
        limits = msgspec.json.encode(QueueLimits(at_once=1))
        await store.backend.put_setting(SettingKind.QUEUE, "default", limits)
        assert await store.backend.import_instance(some) is True
        assert await store.backend.import_instance(some) is False
        await store.backend.seal(None)
        assert await store.backend.list_settings(SettingKind.QUEUE) == {"default": limits}
        (activity,) = await (await store.worker("worker-3")).claim_activities()
        assert activity.instance_id == "order-1"

    async def test_a_sealed_store_can_be_read_and_exported(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        await store.backend.seal("elsewhere")
        assert (await store.backend.read_instance("order-1")).state is State.RUNNING
        assert [some.instance_id for some in await exported(store)] == ["order-1"]

    async def test_a_handle_opened_later_finds_the_seal(self, store: StoreUnderTest) -> None:
        await store.backend.seal("elsewhere")
        twin = store.backend.twin()
        await twin.open()
        try:
            with pytest.raises(StoreSealed):
                await twin.commit(builders.create("order-1"))
        finally:
            await twin.close()

    async def test_no_token_of_before_holds_after_the_seal_is_broken(self, store: StoreUnderTest) -> None:
        """B12: all tokens changed."""
        worker = await store.worker(lease=1000)
        attempt = await store.scheduled(worker)
        await store.signal("order-1")
        task = await worker.claim_workflow_task()
        await store.backend.seal("elsewhere")
        await store.backend.seal(None)
        assert isinstance(await worker.try_checkpoint(task), Rejected)
        assert isinstance(await worker.complete(attempt), Rejected)
        assert isinstance(await store.backend.commit(builders.create("order-2")), Created)
        other = await store.worker("worker-2")
        claimed = await other.claim()
        assert {some.instance_id for some in claimed.workflow_tasks} == {"order-1", "order-2"}
        assert [(some.number, some.attempt) for some in claimed.activity_tasks] == [(1, 1)]
