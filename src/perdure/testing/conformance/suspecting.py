"""What every store promises about instances that lose one worker after the other: who is held to have killed them (E4)."""

from __future__ import annotations

from perdure.model.instance import State
from perdure.model.transition import Administered, Appended, Resume
from perdure.testing.conformance import builders
from perdure.testing.conformance.lapsing import dies
from perdure.testing.conformance.playing import StoreUnderTest


class Suspecting:
    async def test_an_instance_that_loses_five_workers_in_a_row_is_stuck(self, store: StoreUnderTest) -> None:
        """E4: it waits for resume, whatever arrives."""
        await store.create("order-1")
        for number in range(5):
            dying = await store.worker(f"dying-{number}", lease=2)
            await dying.claim_workflow_task()
            assert (await dies(store, dying)).stuck == (("order-1",) if number == 4 else ())
        instance = await store.backend.read_instance("order-1")
        assert instance.stuck is not None
        assert instance.stuck.retry_at is None
        worker = await store.worker("worker-2", lease=1000)
        await store.signal("order-1")
        assert await worker.claim_workflow_tasks() == ()
        assert await store.backend.commit(Resume(instance_id="order-1")) == Administered()
        dying = await store.worker("dying again", lease=2)
        await dying.claim_workflow_task()
        await dies(store, dying)
        await worker.run()
        assert (await store.backend.read_instance("order-1")).stuck is None

    async def test_who_takes_its_workers_with_it_is_stuck_alone(self, store: StoreUnderTest) -> None:
        """E4: after four losses in a row a worker has one such at a time, and those that were beside it go on."""
        poison, beside_it = store.neighbours[:2]
        for name in (poison, beside_it):
            await store.create(name)
        for number in range(4):
            dying = await store.worker(f"dying-{number}", lease=2)
            assert len(await dying.claim_workflow_tasks()) == 2
            await dies(store, dying)
        dying = await store.worker("dying alone", lease=2)
        claimed = await dying.claim()
        assert [task.instance_id for task in claimed.workflow_tasks] == [poison]
        assert claimed.next_due_at is not None
        assert claimed.next_due_at <= claimed.now  # there is more, which comes when this one has been seen to
        assert await dying.claim_workflow_tasks() == ()
        await dies(store, dying)
        worker = await store.worker("worker-2", lease=1000)
        await worker.run()
        assert (await store.backend.read_instance(poison)).stuck is not None
        assert (await store.backend.read_instance(beside_it)).stuck is None

    async def test_one_by_one_all_that_lost_their_workers_go_on(self, store: StoreUnderTest) -> None:
        """E4."""
        names = store.neighbours[:4]
        for name in names:
            await store.create(name)
        for number in range(4):
            await (dying := await store.worker(f"dying-{number}", lease=2)).claim_workflow_tasks()
            await dies(store, dying)
        worker = await store.worker("worker-2", lease=1000)
        signalled = await store.backend.commit(builders.append_signal(names[3], offer=worker.offer()))
        assert signalled == Appended()  # it comes in its turn
        await store.create("new")
        first, new = await worker.claim_workflow_tasks()
        assert (first.instance_id, new.instance_id) == (names[0], "new")
        await worker.checkpoint(first)
        for name in names[1:]:
            assert (await worker.run()).instance_id == name
        assert await worker.claim_workflow_tasks() == ()

    async def test_a_worker_has_few_at_a_time_that_have_lost_three_in_a_row(self, store: StoreUnderTest) -> None:
        """E4: many were out at the workers that died, and most have done no harm."""
        names = store.neighbours
        for name in names:
            await store.create(name)
        for number in range(3):
            await (dying := await store.worker(f"dying-{number}", lease=2)).claim_workflow_tasks()
            await dies(store, dying)
        worker = await store.worker("worker-2", lease=1000)
        first, *others = await worker.claim_workflow_tasks()
        assert [task.instance_id for task in (first, *others)] == [*names[:8]]
        assert await worker.claim_workflow_tasks() == ()
        await worker.checkpoint(first)
        assert [task.instance_id for task in await worker.claim_workflow_tasks()] == [names[8]]

    async def test_a_checkpoint_ends_the_row_of_losses(self, store: StoreUnderTest) -> None:
        """E4: in a row."""
        await store.create("order-1")
        worker = await store.worker("worker-2", lease=1000)
        for number in range(9):
            if number == 4:
                await worker.run(release=True)
                await store.signal("order-1")
            dying = await store.worker(f"dying-{number}", lease=2)
            await dying.claim_workflow_task()
            await dies(store, dying)
            stuck = (await store.backend.read_instance("order-1")).stuck
            assert (stuck is not None) is (number == 8)

    async def test_idle_instances_and_give_backs_count_as_no_loss(self, store: StoreUnderTest) -> None:
        """E4: give-backs don't count."""
        await store.create("given back")
        await store.create("idle")
        for number in range(6):
            dying = await store.worker(f"dying-{number}", lease=2)
            for task in await dying.claim_workflow_tasks():
                if task.instance_id == "idle":
                    await dying.checkpoint(task)
                else:
                    await dying.release(task)
            await store.signal("idle")
            await dies(store, dying)
        assert await store.backend.count_instances() == {State.RUNNING: 2}
        for name in ("given back", "idle"):
            assert (await store.backend.read_instance(name)).stuck is None
