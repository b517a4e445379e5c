"""What every store promises about the workflow task that comes back with a signal or cancel."""

from __future__ import annotations

import msgspec

from perdure.model.instance import State
from perdure.model.transition import Appended, NotAppended, Resume, Suspend
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import NOT_SERVING, StoreUnderTest, names_of


class HandingBackSignalled:
    async def test_a_signal_brings_the_workflow_task(self, store: StoreUnderTest) -> None:
        """B2: as the end of an activity does: of an instance that the worker holds, or nobody."""
        worker = await store.worker()
        for release in (False, True):
            name = f"order-{release}"
            await store.create(name)
            held = await worker.run(release=release)
            appended = await store.backend.commit(builders.append_signal(name, offer=worker.offer()))
            assert isinstance(appended, Appended)
            task = appended.workflow_task
            assert task is not None
            assert (task.instance_id, task.position, names_of(task)) == (name, 1, ["approval"])
            assert (task.token == held.token) is not release
            assert await worker.claim_workflow_tasks() == ()
            await worker.checkpoint(task)

    async def test_a_cancel_brings_the_workflow_task(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.create("order-1")
        await worker.run()
        cancel = msgspec.structs.replace(builders.append_cancel("order-1"), offer=worker.offer())
        appended = await store.backend.commit(cancel)
        assert isinstance(appended, Appended)
        assert appended.workflow_task is not None
        assert names_of(appended.workflow_task) == ["CancelRequested"]

    async def test_a_signal_brings_all_that_is_pending(self, store: StoreUnderTest) -> None:
        """B5: in the order of arrival, with the start if that hasn't been taken."""
        worker = await store.worker()
        await store.create("order-1", "first", start_delay=store.micros(1_000_000))
        appended = await store.backend.commit(builders.append_signal("order-1", "second", offer=worker.offer()))
        assert isinstance(appended, Appended)
        assert appended.workflow_task is not None
        assert names_of(appended.workflow_task) == ["ExecutionStarted", "first", "second"]

    async def test_a_repeated_signal_brings_nothing(self, store: StoreUnderTest) -> None:
        """B4: the first answer was lost, and with it, perhaps, the task: it comes back with the lease."""
        worker = await store.worker()
        await store.create("order-1")
        await worker.run()
        message = builders.append_signal("order-1", offer=worker.offer())
        first = await store.backend.commit(message)
        assert isinstance(first, Appended)
        assert first.workflow_task is not None
        assert await store.backend.commit(message) == Appended()
        await worker.checkpoint(first.workflow_task)
        assert await store.backend.commit(message) == Appended()

    async def test_a_repeated_signal_brings_nothing_that_is_due(self, store: StoreUnderTest) -> None:
        """B4: also when the first one had no offer, and its event still waits."""
        worker = await store.worker()
        await store.create("order-1")
        await worker.run()
        message = builders.append_signal("order-1")
        assert await store.backend.commit(message) == Appended()
        again = msgspec.structs.replace(message, offer=worker.offer())
        assert await store.backend.commit(again) == Appended()
        assert names_of(await worker.claim_workflow_task()) == ["approval"]

    async def test_a_signal_brings_nothing_of_another_holder(self, store: StoreUnderTest) -> None:
        """B3: the task comes to the one that has the execution in memory."""
        holder, other = await store.worker(), await store.worker("worker-2")
        await store.create("order-1")
        await holder.run()
        assert await store.backend.commit(builders.append_signal("order-1", offer=other.offer())) == Appended()
        assert names_of(await holder.claim_workflow_task()) == ["approval"]

    async def test_a_signal_brings_nothing_while_the_workflow_task_is_out(self, store: StoreUnderTest) -> None:
        """B3: it comes back with the checkpoint."""
        worker = await store.worker()
        await store.create("order-1")
        task = await worker.claim_workflow_task()
        assert await store.backend.commit(builders.append_signal("order-1", offer=worker.offer())) == Appended()
        following = (await worker.checkpoint(task, offer=worker.offer())).workflow_task
        assert following is not None
        assert names_of(following) == ["approval"]

    async def test_a_signal_brings_a_task_only_to_those_who_take_and_serve_it(self, store: StoreUnderTest) -> None:
        """K1, W12: queue, name and version, as for a claim; nor what is suspended, nor to who is gone."""
        worker = await store.worker()
        unserved = [await store.worker(f"other-{number}", **start) for number, start in enumerate(NOT_SERVING)]
        gone = await store.worker("gone")
        await gone.stop()
        offers = [*(other.offer() for other in unserved), gone.offer(), worker.offer(workflow_task=False)]
        await store.create("order-1")
        await worker.run(release=True)
        for offer in offers:
            assert await store.backend.commit(builders.append_signal("order-1", offer=offer)) == Appended()
        await store.backend.commit(Suspend(instance_id="order-1"))
        assert await store.backend.commit(builders.append_signal("order-1", offer=worker.offer())) == Appended()
        await store.backend.commit(Resume(instance_id="order-1"))
        assert len((await worker.claim_workflow_task()).pending) == len(offers) + 1

    async def test_a_signal_to_a_stuck_instance_brings_nothing(self, store: StoreUnderTest) -> None:
        """E4: it waits for its retry."""
        worker = await store.worker()
        await store.create("order-1")
        await worker.mark_stuck(await worker.claim_workflow_task(), None)
        assert await store.backend.commit(builders.append_signal("order-1", offer=worker.offer())) == Appended()

    async def test_a_refused_signal_brings_nothing(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "order-1")
        for name, state in (("order-1", State.COMPLETED), ("nobody", None)):
            outcome = await store.backend.commit(builders.append_signal(name, offer=worker.offer()))
            assert outcome == NotAppended(state)
