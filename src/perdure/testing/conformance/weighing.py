"""What every store promises about large payloads: they are blobs, there if and only if what names them is."""

from __future__ import annotations

import pytest

from perdure.backends.weight import whole, with_payloads
from perdure.clock import random_id
from perdure.errors import StoreCorrupt
from perdure.model.event import ActivityCompleted, ExecutionCompleted, SignalReceived, SubWorkflowCompleted
from perdure.model.reference import is_reference, read_reference, references_in
from perdure.model.transition import (
    ActivityResult,
    ActivityRetry,
    Created,
    Recorded,
    Rejected,
    Remove,
    Terminate,
)
from perdure.testing.conformance import builders
from perdure.testing.conformance.moving import moved
from perdure.testing.conformance.playing import StoreUnderTest

LARGE = b'"' + b"0123456789" * 150_000 + b'"'
"""Two blobs."""


def large(mark: str) -> bytes:
    return LARGE[:-1] + mark.encode() + b'"'


async def is_there(store: StoreUnderTest, reference: bytes) -> bool:
    try:
        await whole(store.backend, reference)
    except StoreCorrupt:
        return False
    return True


class Weighing:
    async def test_a_large_input_is_a_blob_wherever_it_stands(self, store: StoreUnderTest) -> None:
        """B8: payloads over a threshold are blobs, stored apart, read when needed."""
        worker = await store.worker()
        await store.create("order-1", started=builders.started(arguments=LARGE))
        task = await worker.claim_workflow_task()
        (reference,) = references_in(task.pending[0].event)
        await worker.checkpoint(task, activities=(builders.activity(1, arguments=large("a")),))
        (started,) = await store.backend.read_history("order-1")
        assert references_in(started.event) == (reference,)
        assert await store.backend.read_arguments("order-1") == reference
        assert await whole(store.backend, reference) == LARGE
        attempt = await worker.claim_activity()
        assert await whole(store.backend, attempt.arguments) == large("a")
        assert (await store.backend.read_instance("order-1")).history_bytes < 1000

    async def test_a_small_payload_stays_where_it_is(self, store: StoreUnderTest) -> None:
        await store.create("order-1", started=builders.started(arguments=b'["x"]'))
        assert await store.backend.read_arguments("order-1") == b'["x"]'

    async def test_many_payloads_of_one_commit_go_together(self, store: StoreUnderTest) -> None:
        """A row has a limit, too: none of them is over the threshold."""
        worker = await store.worker()
        await store.create("order-1")
        task = await worker.claim_workflow_task()
        events = tuple(
            SignalReceived(at=1, name="approval", payload=b'"%d %s"' % (number, b"x" * 100_000)) for number in range(70)
        )
        await worker.checkpoint(task, events=(task.pending[0].event, *events))
        history = await store.backend.read_history("order-1")
        found = [(await with_payloads(store.backend, each)).event for each in history[1:]]
        assert found == list(events)
        assert (await store.backend.read_instance("order-1")).history_bytes < 1_000_000

    async def test_large_results_arrive_as_references(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        assert await worker.complete(attempt, ActivityResult(LARGE)) == Recorded()
        await store.signal(event=builders.signal(payload=large("signal")))
        task = await worker.claim_workflow_task()
        assert [await whole(store.backend, *references_in(pending.event)) for pending in task.pending] == [
            LARGE,
            large("signal"),
        ]
        assert isinstance(task.pending[0].event, ActivityCompleted)
        await worker.checkpoint(task, closing=builders.completed(large("end")))
        outcome = await store.backend.read_outcome("order-1")
        *_, end = await store.backend.read_history("order-1")
        assert outcome is not None
        assert outcome.result is not None
        assert isinstance(end.event, ExecutionCompleted)
        assert end.event.result == outcome.result
        assert await whole(store.backend, outcome.result) == large("end")

    async def test_each_instance_has_blobs_of_its_own(self, store: StoreUnderTest) -> None:
        """A child can be removed while its parent needs its result, and the other way round."""
        parent, child = store.neighbours[:2]
        worker = await store.worker()
        await store.create(parent)
        start = builders.sub_workflow(child, started=builders.started("ship", LARGE))
        await worker.run(messages=(start,))
        task = await worker.claim_workflow_task()
        assert await whole(store.backend, *references_in(task.pending[0].event)) == LARGE
        await worker.checkpoint(task, closing=builders.completed(large("child")))
        await store.backend.commit(Remove(instance_id=child))
        (ended,) = (await worker.claim_workflow_task()).pending
        assert isinstance(ended.event, SubWorkflowCompleted)
        assert await whole(store.backend, ended.event.result) == large("child")

    async def test_the_blob_of_a_replaced_value_goes(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.create("order-1")
        await worker.run(published={"progress": LARGE, "other": large("other")}, activities=(builders.activity(),))
        first = await store.backend.read_published("order-1", "progress")
        other = await store.backend.read_published("order-1", "other")
        await store.signal()
        await worker.run(published={"progress": large("more")})
        second = await store.backend.read_published("order-1", "progress")
        assert first is not None
        assert second is not None
        assert other is not None
        assert await whole(store.backend, second) == large("more")
        assert await whole(store.backend, other) == large("other")
        assert not await is_there(store, first)

    async def test_heartbeat_details_are_apart_until_the_activity_ends(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        attempt = await store.scheduled(worker)
        await worker.heartbeat(attempt, LARGE)
        (pending,) = await store.backend.read_activities("order-1")
        first = pending.heartbeat_details
        await worker.heartbeat(attempt, large("on"))
        await worker.heartbeat(attempt, large("on"))
        await worker.complete(attempt, ActivityRetry(builders.FAILURE, 0))
        again = await worker.claim_activity()
        assert first is not None
        assert again.heartbeat_details is not None
        assert await whole(store.backend, again.heartbeat_details) == large("on")
        assert not await is_there(store, first)
        await worker.complete(again)
        assert not await is_there(store, again.heartbeat_details)

    async def test_what_continue_as_new_carries_over_is_still_there(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.create("order-1")
        task = await worker.claim_workflow_task()
        await store.signal(event=builders.signal(payload=LARGE))
        await worker.checkpoint(task, closing=builders.continued(arguments=large("next")))
        task = await worker.claim_workflow_task()
        found = [await whole(store.backend, *references_in(pending.event)) for pending in task.pending]
        assert found == [large("next"), LARGE]

    async def test_what_is_refused_leaves_no_blob(self, store: StoreUnderTest) -> None:
        """No orphan: the blob is written with what names it, or not at all."""
        if store.count_rows is None:
            pytest.skip("the store doesn't count its rows")
        worker = await store.worker()
        await store.create("order-1")
        task = await worker.claim_workflow_task()
        before = await store.count_rows()
        refused = await worker.try_checkpoint(
            task, activities=(builders.activity(1, arguments=LARGE),), published={"key": LARGE}, token=task.token ^ 1
        )
        assert isinstance(refused, Rejected)
        request = builders.create("order-1", started=builders.started(arguments=LARGE))
        assert not isinstance(await store.backend.commit(request), Created)
        assert await store.count_rows() == before

    async def test_repeating_what_was_done_leaves_one_blob(self, store: StoreUnderTest) -> None:
        """B4."""
        if store.count_rows is None:
            pytest.skip("the store doesn't count its rows")
        await store.create("order-1")
        signal = builders.append_signal(event=builders.signal(payload=LARGE))
        await store.backend.commit(signal)
        before = await store.count_rows()
        await store.backend.commit(signal)
        assert await store.count_rows() == before

    async def test_removing_an_instance_removes_its_large_payloads(self, store: StoreUnderTest) -> None:
        """B8: removed with their instance."""
        if store.count_rows is None:
            pytest.skip("the store doesn't count its rows")
        empty = await store.count_rows()
        worker = await store.worker()
        await store.create("order-1", started=builders.started(arguments=LARGE))
        await worker.run(published={"key": LARGE}, activities=(builders.activity(1, arguments=large("a")),))
        await worker.heartbeat(await worker.claim_activity(), large("beat"))
        await store.signal(event=builders.signal(payload=large("signal")))
        await store.backend.commit(Terminate(instance_id="order-1"))
        await worker.stop()
        await store.backend.commit(Remove(instance_id="order-1"))
        assert await store.count_rows() == empty

    async def test_large_payloads_are_moved(self, store: StoreUnderTest) -> None:
        """B12."""
        worker = await store.worker()
        await store.create("order-1", started=builders.started(arguments=LARGE))
        await worker.run(published={"key": large("key")})
        await moved(store)
        published = await store.backend.read_published("order-1", "key")
        assert published is not None
        assert await whole(store.backend, published) == large("key")
        assert await whole(store.backend, await store.backend.read_arguments("order-1")) == LARGE

    async def test_a_reference_says_how_much_it_stands_for(self, store: StoreUnderTest) -> None:
        await store.create("order-1", started=builders.started(arguments=LARGE))
        arguments = await store.backend.read_arguments("order-1")
        assert is_reference(arguments)
        assert (read_reference(arguments).size, read_reference(arguments).parts) == (len(LARGE), 2)

    async def test_a_large_payload_reaches_who_began_ahead_of_the_store(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        begun = await worker.begin(
            "order-1",
            start={"started": builders.started(arguments=LARGE), "request_id": random_id()},
            activities=(builders.activity(1, arguments=large("a")),),
        )
        (attempt,) = begun.first.activities
        assert await whole(store.backend, attempt.arguments) == large("a")
        assert await whole(store.backend, await store.backend.read_arguments("order-1")) == LARGE
