"""What every store promises about removal, blobs and settings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.clock import random_id
from perdure.errors import ConfigurationError, InstanceNotFound, StoreCorrupt
from perdure.model.inspection import InstanceFilter, SettingKind
from perdure.model.instance import State
from perdure.model.transition import (
    ActivityRetry,
    Administered,
    Appended,
    Created,
    NotAppended,
    NotRemoved,
    Remove,
    Terminate,
)
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest


async def rich(store: StoreUnderTest, name: str, **changes: Any) -> None:
    """An ended instance that has had something of everything."""
    worker = await store.worker(f"worker of {name}")
    created = await store.create(name, tags={"a": "b", "c": "d"}, timeout=store.micros(100_000), **changes)
    await worker.run(activities=(builders.activity(1),), published={"step": b"1"})
    await store.signal(name)
    await worker.run(closing=builders.continued())
    children = (builders.sub_workflow(f"{name}-child", 3), builders.send_signal(name, 4))
    await worker.run(
        activities=(builders.activity(1, queue_timeout=store.micros(100_000)), builders.activity(2)), messages=children
    )
    first, _ = await worker.claim_activities(2)
    await worker.complete(first, ActivityRetry(builders.FAILURE, 0))
    await store.backend.put_blob(created.instance_key, random_id(), b"x" * 100_000)
    await store.signal(name)
    await store.backend.commit(Terminate(instance_id=name))
    await store.backend.commit(Terminate(instance_id=f"{name}-child"))
    await worker.stop()


class Removing:
    async def test_an_ended_instance_is_removed_whole(self, store: StoreUnderTest) -> None:
        """B8; the trap "bulk removal leaving history rows"."""
        if store.count_rows is None:
            pytest.skip("the store doesn't count its rows")
        empty = await store.count_rows()
        await rich(store, "order-1")
        assert await store.count_rows() > empty
        for name in ("order-1", "order-1-child"):
            assert await store.backend.commit(Remove(instance_id=name)) == Administered()
            with pytest.raises(InstanceNotFound):
                await store.backend.read_instance(name)
        assert await store.count_rows() == empty

    async def test_pruning_removes_whole_instances(self, store: StoreUnderTest) -> None:
        """B8; the same trap, in bulk."""
        if store.count_rows is None:
            pytest.skip("the store doesn't count its rows")
        empty = await store.count_rows()
        for number in range(3):
            await rich(store, f"order-{number}")
        assert (await store.backend.prune(InstanceFilter())).removed == 6
        assert await store.count_rows() == empty

    async def test_a_running_instance_is_not_removed(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        assert await store.backend.commit(Remove(instance_id="order-1")) == NotRemoved(state=State.RUNNING)
        assert await store.backend.commit(Remove(instance_id="nobody")) == NotRemoved(state=None)
        assert (await store.backend.read_instance("order-1")).state is State.RUNNING

    async def test_removal_leaves_the_others_alone(self, store: StoreUnderTest) -> None:
        await rich(store, "order-1")
        await rich(store, "order-2")
        await store.backend.commit(Remove(instance_id="order-1"))
        assert len(await store.backend.read_executions("order-2")) == 2
        assert await store.backend.read_published("order-2", "step") == b"1"

    async def test_a_removed_id_is_free_and_remembers_nothing(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.create("order-1")
        message = builders.append_signal("order-1")
        await store.backend.commit(message)
        await worker.run(closing=builders.completed(), published={"step": b"1"})
        await store.backend.commit(Remove(instance_id="order-1"))
        assert await store.backend.commit(message) == NotAppended(None)
        assert isinstance(await store.backend.commit(builders.create("order-1")), Created)
        assert await store.backend.read_published("order-1", "step") is None
        assert await store.backend.commit(message) == Appended()

    async def test_a_result_for_a_removed_instance_harms_nobody(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        await store.backend.commit(Terminate(instance_id="order-1"))
        await store.backend.commit(Remove(instance_id="order-1"))
        await store.create("order-1")
        await worker.complete(attempt)
        task = await worker.claim_workflow_task()
        assert len(task.pending) == 1

    async def test_pruning_takes_the_oldest_ends_first_and_never_what_runs(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        await store.create("running")
        await worker.run()
        await store.create("ends last")
        last = await worker.claim_workflow_task()
        for name in ("first", "second", "third"):
            await store.finished(worker, name)
            await store.advance(0.1)
        await worker.checkpoint(last, closing=builders.completed())
        assert (await store.backend.prune(InstanceFilter(), limit=2)).removed == 2
        page = await store.backend.list_instances()
        assert sorted(instance.instance_id for instance in page.items) == ["ends last", "running", "third"]
        assert (await store.backend.prune(InstanceFilter(states=frozenset({State.RUNNING})))).removed == 0
        assert (await store.backend.prune(InstanceFilter())).removed == 2
        assert await store.backend.count_instances() == {State.RUNNING: 1}

    async def test_pruning_takes_only_what_matches(self, store: StoreUnderTest) -> None:
        worker = await store.worker(lease=1000)
        await store.finished(worker, "old")
        await store.advance(0.2)
        await store.finished(worker, "failed", closing=builders.failed())
        border = await store.backend.now()
        await store.advance(0.2)
        await store.finished(worker, "new")
        where = InstanceFilter(states=frozenset({State.COMPLETED}), ended_to=border)
        assert (await store.backend.prune(where)).removed == 1
        page = await store.backend.list_instances()
        assert [instance.instance_id for instance in page.items] == ["new", "failed"]


class KeepingBlobs:
    async def test_a_blob_is_kept_and_read(self, store: StoreUnderTest) -> None:
        created = await store.create("order-1")
        blobs = {random_id(): data for data in (b"", b"\0" * 10, bytes(range(256)) * 4000)}
        for blob_id, data in blobs.items():
            await store.backend.put_blob(created.instance_key, blob_id, data)
        for blob_id, data in blobs.items():
            assert await store.backend.read_blob(blob_id) == data

    async def test_a_missing_blob_is_corruption(self, store: StoreUnderTest) -> None:
        with pytest.raises(StoreCorrupt):
            await store.backend.read_blob(random_id())

    async def test_putting_a_blob_again_changes_nothing(self, store: StoreUnderTest) -> None:
        """B4."""
        created = await store.create("order-1")
        blob_id = random_id()
        await asyncio.gather(*(store.backend.put_blob(created.instance_key, blob_id, b"data") for _ in range(3)))
        assert await store.backend.read_blob(blob_id) == b"data"

    async def test_a_blob_goes_with_its_instance(self, store: StoreUnderTest) -> None:
        """B8: removing an instance removes everything of it."""
        worker = await store.worker()
        created = await store.create("order-1")
        blob_id = random_id()
        await store.backend.put_blob(created.instance_key, blob_id, b"data")
        await worker.run(closing=builders.completed())
        assert await store.backend.read_blob(blob_id) == b"data"
        await store.backend.commit(Remove(instance_id="order-1"))
        with pytest.raises(StoreCorrupt):
            await store.backend.read_blob(blob_id)


class KeepingSettings:
    async def test_settings_are_kept_by_kind_and_name(self, store: StoreUnderTest) -> None:
        limits = b'{"paused":true}'
        await store.backend.put_setting(SettingKind.QUEUE, "b", limits)
        await store.backend.put_setting(SettingKind.QUEUE, "a", b'{"at_once":2}')
        await store.backend.put_setting(SettingKind.SCHEDULE, "a", b"\0any bytes")
        queues = await store.backend.list_settings(SettingKind.QUEUE)
        assert list(queues.items()) == [("a", b'{"at_once":2}'), ("b", limits)]
        assert await store.backend.list_settings(SettingKind.SCHEDULE) == {"a": b"\0any bytes"}

    async def test_a_setting_is_replaced(self, store: StoreUnderTest) -> None:
        for value in (b"1", b"2"):
            await store.backend.put_setting(SettingKind.SCHEDULE, "nightly", value)
        assert await store.backend.list_settings(SettingKind.SCHEDULE) == {"nightly": b"2"}

    async def test_a_setting_is_deleted_once(self, store: StoreUnderTest) -> None:
        await store.backend.put_setting(SettingKind.SCHEDULE, "nightly", b"1")
        assert await store.backend.delete_setting(SettingKind.SCHEDULE, "nightly") is True
        assert await store.backend.delete_setting(SettingKind.SCHEDULE, "nightly") is False
        assert await store.backend.list_settings(SettingKind.SCHEDULE) == {}

    async def test_limits_that_cannot_be_read_are_refused(self, store: StoreUnderTest) -> None:
        """A queue whose limits nobody can read would stop every claim."""
        for value in (b"", b"no JSON", b'{"at_once": "two"}'):
            with pytest.raises(ConfigurationError):
                await store.backend.put_setting(SettingKind.QUEUE, "default", value)
        assert await store.backend.list_settings(SettingKind.QUEUE) == {}
