"""What every store promises about events that arrive for an instance."""

from __future__ import annotations

import asyncio

from perdure.clock import random_id, to_datetime
from perdure.model.event import CancelRequested
from perdure.model.instance import State
from perdure.model.transition import Appended, AppendEvent, NotAppended
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest, names_of


class Appending:
    async def test_events_keep_the_order_of_their_commits(self, store: StoreUnderTest) -> None:
        """The traps "early signals delivered newest first" and "signals over a buffer limit dropped"."""
        await store.create("order-1")
        for number in range(150):
            await store.signal("order-1", f"signal-{number}")
        task = await (await store.worker()).claim_workflow_task()
        assert names_of(task) == ["ExecutionStarted", *(f"signal-{number}" for number in range(150))]
        assert [pending.id for pending in task.pending] == list(range(151))

    async def test_signals_committed_side_by_side_all_get_a_number_of_their_own(self, store: StoreUnderTest) -> None:
        """B5: the number is taken where the instance is locked."""
        await store.create("order-1")
        await asyncio.gather(*(store.signal("order-1", f"signal-{number}") for number in range(100)))
        task = await (await store.worker()).claim_workflow_task()
        assert [pending.id for pending in task.pending] == list(range(101))
        assert sorted(names_of(task)[1:]) == sorted(f"signal-{number}" for number in range(100))

    async def test_a_message_id_is_taken_once(self, store: StoreUnderTest) -> None:
        """B4: repeating one is success, not a duplicate."""
        await store.create("order-1")
        message = builders.append_signal("order-1")
        assert await store.backend.commit(message) == Appended()
        assert await store.backend.commit(message) == Appended()
        assert await asyncio.gather(*(store.backend.commit(message) for _ in range(5))) == [Appended()] * 5
        task = await (await store.worker()).claim_workflow_task()
        assert names_of(task) == ["ExecutionStarted", "approval"]

    async def test_a_message_id_is_remembered_after_the_event_was_applied(self, store: StoreUnderTest) -> None:
        """B4."""
        await store.create("order-1")
        message = builders.append_signal("order-1")
        await store.backend.commit(message)
        worker = await store.worker()
        await worker.run()
        assert await store.backend.commit(message) == Appended()
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_message_id_is_remembered_across_continue_as_new(self, store: StoreUnderTest) -> None:
        """B5: receivers remember ids across continue-as-new too."""
        await store.create("order-1")
        message = builders.append_signal("order-1")
        await store.backend.commit(message)
        worker = await store.worker()
        await worker.run(closing=builders.continued())
        assert await store.backend.commit(message) == Appended()
        assert names_of(await worker.claim_workflow_task()) == ["ExecutionStarted"]

    async def test_a_message_repeated_after_the_end_is_success(self, store: StoreUnderTest) -> None:
        """B4: it was taken when it came first."""
        await store.create("order-1")
        message = builders.append_signal("order-1")
        await store.backend.commit(message)
        await (await store.worker()).run(closing=builders.completed())
        assert await store.backend.commit(message) == Appended()

    async def test_a_message_id_is_forgotten_after_its_time(self, store: StoreUnderTest) -> None:
        """C2: idempotency keys are kept as long as they say."""
        await store.create("order-1")
        message = builders.append_signal("order-1", keep=store.micros(2))
        await store.backend.commit(message)
        await store.advance(3)
        await store.backend.housekeep()
        assert await store.backend.commit(message) == Appended()
        task = await (await store.worker()).claim_workflow_task()
        assert names_of(task) == ["ExecutionStarted", "approval", "approval"]

    async def test_one_message_id_may_go_to_several_instances(self, store: StoreUnderTest) -> None:
        """C2: an idempotency key is the instance's."""
        shared = random_id()
        await store.create("order-1")
        await store.create("order-2")
        await store.signal("order-1", message_id=shared)
        await store.signal("order-2", message_id=shared)
        for task in await (await store.worker()).claim_workflow_tasks():
            assert names_of(task) == ["ExecutionStarted", "approval"]

    async def test_to_nobody_nothing_is_appended(self, store: StoreUnderTest) -> None:
        assert await store.backend.commit(builders.append_signal("nobody")) == NotAppended(None)

    async def test_an_ended_instance_takes_nothing(self, store: StoreUnderTest) -> None:
        """B5: a signal acknowledged while its instance was finishing must not become an orphan."""
        worker = await store.worker()
        await store.finished(worker, "order-1", closing=builders.failed())
        assert await store.backend.commit(builders.append_signal("order-1")) == NotAppended(State.FAILED)
        assert await store.backend.commit(builders.append_cancel("order-1")) == NotAppended(State.FAILED)

    async def test_a_signal_and_the_end_side_by_side_agree(self, store: StoreUnderTest) -> None:
        """B5: either the signal came first, and is lost with the end, or it is told that nobody took it."""
        worker = await store.worker()
        for number in range(20):
            await store.create(f"order-{number}")
            task = await worker.claim_workflow_task()
            _, outcome = await asyncio.gather(
                worker.checkpoint(task, closing=builders.completed()),
                store.backend.commit(builders.append_signal(f"order-{number}")),
            )
            assert outcome in (Appended(), NotAppended(State.COMPLETED))
            assert await worker.claim_workflow_tasks() == ()

    async def test_an_event_has_the_time_of_its_arrival(self, store: StoreUnderTest) -> None:
        """B7: whatever the sender's clock says."""
        await store.create("order-1")
        await store.advance(1)
        before = await store.backend.now()
        event = CancelRequested(at=1, reason="late")
        await store.backend.commit(AppendEvent(message_id=random_id(), instance_id="order-1", event=event))
        after = await store.backend.now()
        task = await (await store.worker()).claim_workflow_task()
        cancel = task.pending[1].event
        assert isinstance(cancel, CancelRequested)
        assert cancel.reason == "late"
        assert before <= to_datetime(cancel.at) <= after

    async def test_a_cancel_and_a_signal_both_arrive(self, store: StoreUnderTest) -> None:
        """The trap "a cancel that arrives with a signal being ignored"."""
        await store.create("order-1")
        await asyncio.gather(store.signal("order-1"), store.cancel("order-1"))
        task = await (await store.worker()).claim_workflow_task()
        assert sorted(names_of(task)) == ["CancelRequested", "ExecutionStarted", "approval"]

    async def test_a_payload_of_any_bytes_comes_back_as_it_was(self, store: StoreUnderTest) -> None:
        """The trap "a bad signal payload crashing the worker": the store doesn't look into payloads."""
        payloads = [b"", b"\0", b"\xff\xfe not JSON", bytes(range(256)) * 100, b"'; drop table instances; --"]
        await store.create("order-1")
        for payload in payloads:
            await store.signal("order-1", event=builders.signal("raw", payload))
        task = await (await store.worker()).claim_workflow_task()
        assert [pending.event for pending in task.pending[1:]] == [
            builders.signal("raw", payload).__class__(at=pending.event.at, name="raw", payload=payload)
            for pending, payload in zip(task.pending[1:], payloads, strict=True)
        ]

    async def test_an_event_makes_a_waiting_instance_due_for_its_holder(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run()
        assert await worker.claim_workflow_tasks() == ()
        await store.signal("order-1")
        task = await worker.claim_workflow_task()
        assert names_of(task) == ["approval"]
        assert task.position == 1
