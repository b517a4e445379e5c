"""What every store promises about the creation of instances."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from perdure.clock import to_datetime
from perdure.errors import InstanceNotFound
from perdure.model.instance import State
from perdure.model.options import IfExists
from perdure.model.transition import Created, Existing, NotAppended, Terminate
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest, carried_by, names_of


class Creating:
    async def test_a_new_instance_can_be_read(self, store: StoreUnderTest) -> None:
        created = await store.create(
            "order-1", queue="eu", priority=3, version="1.2", tags={"shop": "7"}, timeout=60_000_000
        )
        instance = await store.backend.read_instance("order-1")
        assert (instance.instance_id, instance.workflow, instance.queue) == ("order-1", "checkout", "eu")
        assert (instance.priority, instance.version, dict(instance.tags)) == (3, "1.2", {"shop": "7"})
        assert instance.state is State.RUNNING
        assert instance.execution_id == created.execution_id.hex()
        assert (instance.execution_number, instance.history_length, instance.history_bytes) == (1, 0, 0)
        assert (instance.ended_at, instance.parent, instance.stuck, instance.worker) == (None, None, None, None)
        assert instance.deadline_at == instance.created_at + timedelta(minutes=1)
        assert await store.backend.read_arguments("order-1") == b"[1]"
        assert await store.backend.read_outcome("order-1") is None

    async def test_what_is_not_there_is_not_found(self, store: StoreUnderTest) -> None:
        for read in (
            store.backend.read_instance,
            store.backend.read_executions,
            store.backend.read_history,
            store.backend.read_arguments,
            store.backend.read_outcome,
            store.backend.read_activities,
        ):
            with pytest.raises(InstanceNotFound):
                await read("nobody")
        with pytest.raises(InstanceNotFound):
            await store.backend.read_published("nobody", "key")

    async def test_two_concurrent_creates_of_one_id_never_both_pass(self, store: StoreUnderTest) -> None:
        """B8: one row per instance id; the trap "two concurrent creates of one id both passing"."""
        outcomes = await asyncio.gather(*(store.backend.commit(builders.create("order-1")) for _ in range(200)))
        assert sum(isinstance(outcome, Created) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, Existing) for outcome in outcomes) == 199
        worker = await store.worker()
        assert len(await worker.claim_workflow_tasks()) == 1

    async def test_200_concurrent_creates_by_two_handles_make_each_instance_once(self, store: StoreUnderTest) -> None:
        """B8: also when two handles create the same ids."""
        other = store.backend.twin()
        await other.open()
        try:
            outcomes = await asyncio.gather(
                *(
                    handle.commit(builders.create(f"order-{number}"))
                    for number in range(100)
                    for handle in (store.backend, other)
                )
            )
        finally:
            await other.close()
        assert sum(isinstance(outcome, Created) for outcome in outcomes) == 100
        assert await store.backend.count_instances() == {State.RUNNING: 100}

    async def test_a_taken_id_gives_the_instance_that_has_it(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        outcome = await store.backend.commit(builders.create("order-1", workflow="ship", digest=b"other"))
        assert outcome == Existing(instance_id="order-1", state=State.RUNNING, workflow="checkout", digest=b"digest")

    async def test_an_ended_instance_keeps_its_id(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "order-1")
        outcome = await store.backend.commit(builders.create("order-1"))
        assert isinstance(outcome, Existing)
        assert outcome.state is State.COMPLETED

    async def test_repeating_a_request_is_success_and_makes_nothing_new(self, store: StoreUnderTest) -> None:
        """B4: the answer of a commit was lost; the trap "a retried request starting a second charge"."""
        request = builders.create("order-1", signals=(builders.signal(),))
        first = await store.backend.commit(request)
        second = await store.backend.commit(request)
        assert isinstance(first, Created)
        assert second == first
        task = await (await store.worker()).claim_workflow_task()
        assert names_of(task) == ["ExecutionStarted"]
        assert [signal.name for signal in carried_by(task)] == ["approval"]

    async def test_a_request_repeated_side_by_side_makes_one_instance(self, store: StoreUnderTest) -> None:
        """B4: both in one batch."""
        request = builders.create("order-1")
        first, second = await asyncio.gather(store.backend.commit(request), store.backend.commit(request))
        assert first == second
        assert isinstance(first, Created)

    async def test_a_request_repeated_after_the_end_is_success(self, store: StoreUnderTest) -> None:
        """B4: whatever became of the instance meanwhile, and whatever if_exists says."""
        request = builders.create("order-1", if_exists=IfExists.RESTART)
        first = await store.backend.commit(request)
        await (await store.worker()).run(closing=builders.completed())
        assert await store.backend.commit(request) == first
        assert (await store.backend.read_instance("order-1")).state is State.COMPLETED

    async def test_use_gives_the_existing_one_and_signals_it(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        outcome = await store.backend.commit(
            builders.create("order-1", if_exists=IfExists.USE, signals=(builders.signal("a"), builders.signal("b")))
        )
        assert isinstance(outcome, Existing)
        task = await (await store.worker()).claim_workflow_task()
        assert names_of(task) == ["ExecutionStarted", "a", "b"]

    async def test_use_repeated_signals_once(self, store: StoreUnderTest) -> None:
        """B4: signal-with-start is one request."""
        await store.create("order-1")
        request = builders.create("order-1", if_exists=IfExists.USE, signals=(builders.signal("a"),))
        assert await store.backend.commit(request) == await store.backend.commit(request)
        task = await (await store.worker()).claim_workflow_task()
        assert names_of(task) == ["ExecutionStarted", "a"]

    async def test_use_does_not_signal_what_is_another_workflow_or_input(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        different: tuple[dict[str, Any], ...] = ({"workflow": "ship"}, {"digest": b"another"})
        for changes in different:
            request = builders.create("order-1", if_exists=IfExists.USE, signals=(builders.signal("a"),), **changes)
            assert isinstance(await store.backend.commit(request), Existing)
        task = await (await store.worker()).claim_workflow_task()
        assert names_of(task) == ["ExecutionStarted"]

    async def test_use_signals_what_has_continued_as_something_else(self, store: StoreUnderTest) -> None:
        """C2: what counts is the workflow and input that the instance was created with."""
        await store.create("order-1")
        worker = await store.worker()
        await worker.run(closing=builders.continued(workflow="ship"))
        await worker.run()
        await store.backend.commit(builders.create("order-1", if_exists=IfExists.USE, signals=(builders.signal("a"),)))
        assert names_of(await worker.claim_workflow_task()) == ["a"]

    async def test_use_of_an_ended_one_signals_nobody(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "order-1")
        request = builders.create("order-1", if_exists=IfExists.USE, signals=(builders.signal("a"),))
        outcome = await store.backend.commit(request)
        assert isinstance(outcome, Existing)
        assert outcome.state is State.COMPLETED
        assert await worker.claim_workflow_tasks() == ()

    async def test_existing_tells_what_the_instance_was_created_with(self, store: StoreUnderTest) -> None:
        """C2: also after it has continued as something else, or USE would find another input."""
        await store.create("order-1")
        await (await store.worker()).run(closing=builders.continued(workflow="ship"))
        outcome = await store.backend.commit(builders.create("order-1", if_exists=IfExists.USE))
        assert isinstance(outcome, Existing)
        assert (outcome.state, outcome.workflow, outcome.digest) == (State.RUNNING, "checkout", b"digest")

    async def test_restart_puts_a_new_one_in_the_place_of_an_ended_one(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "order-1", published={"key": b"1"})
        outcome = await store.backend.commit(builders.create("order-1", if_exists=IfExists.RESTART))
        assert isinstance(outcome, Created)
        instance = await store.backend.read_instance("order-1")
        assert (instance.state, instance.history_length) == (State.RUNNING, 0)
        assert instance.execution_id == outcome.execution_id.hex()
        assert await store.backend.read_history("order-1") in ((), [])
        assert await store.backend.read_published("order-1", "key") is None
        assert len(await store.backend.read_executions("order-1")) == 1

    async def test_restart_leaves_no_row_of_the_former_one(self, store: StoreUnderTest) -> None:
        if store.count_rows is None:
            pytest.skip("the store doesn't count its rows")
        worker = await store.worker()
        await store.create("order-1")
        fresh = await store.count_rows()
        await store.signal("order-1")
        await worker.run(closing=builders.completed(), published={"key": b"1"})
        await store.backend.commit(builders.create("order-1", if_exists=IfExists.RESTART))
        assert await store.count_rows() == fresh

    @pytest.mark.parametrize("if_exists", [IfExists.RESTART, IfExists.RESTART_FAILED])
    async def test_a_running_instance_is_never_restarted(self, store: StoreUnderTest, if_exists: IfExists) -> None:
        created = await store.create("order-1")
        assert isinstance(await store.backend.commit(builders.create("order-1", if_exists=if_exists)), Existing)
        assert (await store.backend.read_instance("order-1")).execution_id == created.execution_id.hex()

    async def test_restart_failed_leaves_a_completed_one(self, store: StoreUnderTest) -> None:
        await store.finished(await store.worker(), "order-1")
        request = builders.create("order-1", if_exists=IfExists.RESTART_FAILED)
        assert isinstance(await store.backend.commit(request), Existing)

    async def test_restart_failed_replaces_what_ended_without_a_result(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "failed", closing=builders.failed())
        await store.finished(worker, "cancelled", closing=builders.cancelled())
        await store.create("terminated")
        await store.backend.commit(Terminate(instance_id="terminated"))
        for instance_id in ("failed", "cancelled", "terminated"):
            request = builders.create(instance_id, if_exists=IfExists.RESTART_FAILED)
            assert isinstance(await store.backend.commit(request), Created)

    async def test_signals_of_the_start_stand_before_anything_else(self, store: StoreUnderTest) -> None:
        """C1: the workflow's first step finds them; the trap "early signals delivered newest first"."""
        await store.create("order-1", signals=(builders.signal("a"), builders.signal("b")))
        await store.signal("order-1", "c")
        task = await (await store.worker()).claim_workflow_task()
        assert [signal.name for signal in carried_by(task)] == ["a", "b"]
        assert names_of(task) == ["ExecutionStarted", "c"]
        assert [pending.id for pending in task.pending] == [0, 1]

    async def test_a_start_delay_holds_the_first_task_back(self, store: StoreUnderTest) -> None:
        await store.create("order-1", start_delay=store.micros(3), signals=(builders.signal(),))
        worker = await store.worker()
        claimed = await worker.claim()
        assert claimed.workflow_tasks == ()
        assert claimed.next_due_at is not None
        assert claimed.now < claimed.next_due_at <= claimed.now + store.micros(3)
        await store.advance(3.2)
        task = await worker.claim_workflow_task()
        assert [signal.name for signal in carried_by(task)] == ["approval"]

    async def test_what_arrives_during_the_start_delay_ends_it(self, store: StoreUnderTest) -> None:
        await store.create("order-1", start_delay=store.micros(1000))
        await store.signal("order-1")
        assert names_of(await (await store.worker()).claim_workflow_task()) == ["ExecutionStarted", "approval"]

    async def test_the_deadline_counts_from_the_end_of_the_start_delay(self, store: StoreUnderTest) -> None:
        await store.create("order-1", start_delay=5_000_000, timeout=1_000_000)
        instance = await store.backend.read_instance("order-1")
        assert instance.deadline_at == instance.created_at + timedelta(seconds=6)

    async def test_ids_that_differ_in_bytes_are_different(self, store: StoreUnderTest) -> None:
        """B8: names are compared as bytes: no case, accent, trailing space or normal form is folded."""
        ids = [
            "order-7",
            "ORDER-7",
            "órder-7",
            "o\u0301rder-7",
            "order-7 ",
            " order-7",
            "order-7\t",
            "straße",
            "strasse",
        ]
        for instance_id in ids:
            await store.create(instance_id)
        for instance_id in ids:
            assert (await store.backend.read_instance(instance_id)).instance_id == instance_id

    async def test_names_of_any_characters_and_255_bytes_are_kept(self, store: StoreUnderTest) -> None:
        """B8: 1-255 bytes of UTF-8."""
        for name in ("x" * 255, "é" * 127, "🙂" * 63, "a'b\"c;--", "100%_\\", "日本/語:1", "{p1}", "\n"):
            await store.create(name, workflow=name, queue=name, started=builders.started(name))
            worker = await store.worker(workflow_queues=(name,), workflow_names=frozenset({name}))
            task = await worker.claim_workflow_task()
            assert (task.instance_id, task.workflow, task.queue) == (name, name, name)

    async def test_ids_queues_and_workflows_named_alike_do_not_mix(self, store: StoreUnderTest) -> None:
        """The trap "user names colliding with system workflows": the store keeps no names of its own."""
        for name in ("default", "perdure", "system", "checkout", "instances", "None", "*"):
            await store.create(name, workflow=name, started=builders.started(name))
            worker = await store.worker(workflow_names=frozenset({name}))
            assert (await worker.claim_workflow_task()).workflow == name

    async def test_times_have_microseconds(self, store: StoreUnderTest) -> None:
        """B7; the trap "whole-second timestamps changing `now` on replay"."""
        worker = await store.worker()
        rests: set[int] = set()
        for number in range(20):
            await store.create(f"order-{number}", start_delay=number, timeout=1_234_567)
            instance = await store.backend.read_instance(f"order-{number}")
            assert instance.deadline_at == instance.created_at + timedelta(microseconds=1_234_567 + number)
            rests.add(instance.created_at.microsecond % 1000)
            await store.advance(0.000_037)
        await store.advance(0.001)
        for task in await worker.claim_workflow_tasks():
            instance = await store.backend.read_instance(task.instance_id)
            assert task.pending[0].event.at == task.created_at
            assert to_datetime(task.created_at) == instance.created_at
        assert rests != {0}

    async def test_the_start_has_the_time_of_its_arrival(self, store: StoreUnderTest) -> None:
        """B7: the `at` of what is pending is the store's."""
        before = await store.backend.now()
        await store.create("order-1")
        after = await store.backend.now()
        task = await (await store.worker()).claim_workflow_task()
        assert before <= to_datetime(task.pending[0].event.at) <= after

    async def test_create_signal_and_end_side_by_side_each_have_their_outcome(self, store: StoreUnderTest) -> None:
        """B2: transitions of one instance that share a batch are all carried out, in some order."""
        for number in range(20):
            name = f"order-{number}"
            created, signalled, ended = await asyncio.gather(
                store.backend.commit(builders.create(name)),
                store.backend.commit(builders.append_signal(name)),
                store.backend.commit(Terminate(instance_id=name)),
            )
            assert isinstance(created, Created)
            state = (await store.backend.read_instance(name)).state
            assert state is (State.RUNNING if isinstance(ended, NotAppended) else State.TERMINATED)
            assert signalled is not None
