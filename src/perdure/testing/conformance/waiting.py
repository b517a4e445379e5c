"""What every store promises about wake-ups, waiting for the end, and other threads."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from perdure.errors import InstanceNotFound
from perdure.model.checkpoint import CancelActivity
from perdure.model.inspection import SettingKind
from perdure.model.instance import State
from perdure.model.transition import Created, Remove, Resume, Suspend, Terminate
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import PlayedWorker, StoreUnderTest

LONG = 10.0
"""Seconds that a wait must not take: a test that runs into it has missed a wake-up."""


async def is_woken(worker: PlayedWorker) -> bool:
    """Whether the worker's wait ends long before its time-out."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    await worker.backend.wait_for_work(worker.key, LONG)
    return loop.time() - before < LONG / 2


async def quiet(worker: PlayedWorker) -> None:
    """Until there is nothing new for the worker: a wake-up may come for nothing, but not again and again."""
    loop = asyncio.get_running_loop()
    for _ in range(20):
        await worker.claim(0, 0)
        before = loop.time()
        await worker.backend.wait_for_work(worker.key, 0.05)
        if loop.time() - before >= 0.04:
            return
    raise AssertionError("an idle worker is woken all the time")


class WaitingForWork:
    async def test_a_commit_wakes_who_waits(self, store: StoreUnderTest) -> None:
        """B6: push."""
        worker = await store.worker()
        await quiet(worker)
        waiting = asyncio.create_task(is_woken(worker))
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await store.create("order-1")
        assert await waiting

    async def test_what_was_committed_since_the_last_claim_is_not_missed(self, store: StoreUnderTest) -> None:
        """B6: within this process."""
        worker = await store.worker()
        await worker.claim()
        await store.create("order-1")
        assert await is_woken(worker)

    async def test_what_waited_before_the_worker_started_is_not_missed(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        if not await worker.claim_workflow_tasks(0):
            assert await worker.claim_workflow_tasks()

    async def test_a_wait_ends_after_its_time_out(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await worker.claim()
        await asyncio.wait_for(store.backend.wait_for_work(worker.key, 0.05), LONG)

    async def test_a_held_instance_wakes_its_holder(self, store: StoreUnderTest) -> None:
        """B6: a wake-up can address one worker, for its cached instances."""
        holder = await store.worker()
        await store.create("order-1")
        await holder.run()
        await quiet(holder)
        waiting = asyncio.create_task(is_woken(holder))
        await asyncio.sleep(0.02)
        await store.signal("order-1")
        assert await waiting

    @pytest.mark.parametrize("what", ["result", "retry", "resume", "permit", "release", "stop", "death"])
    async def test_all_that_makes_work_claimable_wakes(self, store: StoreUnderTest, what: str) -> None:
        await store.create("order-1")
        runner = await store.worker("runner", lease=2)
        waiter = await store.worker("waiter", lease=1000)
        await store.backend.put_setting(SettingKind.QUEUE, "default", b'{"at_once":1}')
        await runner.run(activities=(builders.activity(1), builders.activity(2)))
        attempt = await runner.claim_activity()
        await store.create("order-2")
        task = await runner.claim_workflow_task()
        await store.create("order-3")
        await store.backend.commit(Suspend(instance_id="order-3"))
        assert not (await waiter.claim()).workflow_tasks
        await quiet(waiter)
        waiting = asyncio.create_task(is_woken(waiter))
        await asyncio.sleep(0.02)
        match what:
            case "result" | "permit":
                await runner.complete(attempt)
            case "retry":
                await store.backend.put_setting(SettingKind.QUEUE, "default", b'{"at_once":2}')
            case "resume":
                await store.backend.commit(Resume(instance_id="order-3"))
            case "release":
                await runner.release(task)
            case "stop":
                await runner.stop()
            case _:
                await store.advance(3)
                await store.backend.housekeep()
        assert await waiting
        claimed = await waiter.claim()
        assert claimed.workflow_tasks or claimed.activity_tasks

    async def test_a_told_activity_wakes_its_runner(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        holder, runner = await store.worker("holder"), await store.worker("runner")
        task = await holder.run(activities=(builders.activity(),))
        await runner.claim_activity()
        await quiet(runner)
        waiting = asyncio.create_task(is_woken(runner))
        await asyncio.sleep(0.02)
        cancel = (CancelActivity(1, told=True),)
        await holder.checkpoint(task, position=1, events=(), cancelled_activities=cancel)
        assert await waiting

    async def test_a_cancelled_wait_leaves_nothing_behind(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await quiet(worker)
        waiting = asyncio.create_task(store.backend.wait_for_work(worker.key, LONG))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await store.create("order-1")
        assert await is_woken(worker)


class WaitingForTheEnd:
    async def test_the_end_is_told_to_all_who_wait(self, store: StoreUnderTest) -> None:
        """C1: waiting is pushed where the store can."""
        await store.create("order-1")
        worker = await store.worker()
        waits = [asyncio.create_task(store.backend.wait_for_outcome("order-1", LONG)) for _ in range(5)]
        await asyncio.sleep(0.02)
        await worker.run(closing=builders.completed(b"7"))
        for outcome in await asyncio.wait_for(asyncio.gather(*waits), LONG / 2):
            assert outcome is not None
            assert (outcome.state, outcome.result) == (State.COMPLETED, b"7")

    async def test_an_end_of_before_is_told_at_once(self, store: StoreUnderTest) -> None:
        await store.finished(await store.worker(), "order-1")
        outcome = await asyncio.wait_for(store.backend.wait_for_outcome("order-1", LONG), LONG / 2)
        assert outcome is not None

    async def test_the_wait_goes_on_across_continue_as_new(self, store: StoreUnderTest) -> None:
        """W9; the trap "waiting that stops at the first continued execution"."""
        await store.create("order-1")
        worker = await store.worker()
        waiting = asyncio.create_task(store.backend.wait_for_outcome("order-1", LONG))
        await asyncio.sleep(0.02)
        await worker.run(closing=builders.continued())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await worker.run(closing=builders.failed())
        outcome = await asyncio.wait_for(waiting, LONG / 2)
        assert outcome is not None
        assert outcome.state is State.FAILED

    async def test_one_that_still_runs_gives_nothing_in_time(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        assert await store.backend.wait_for_outcome("order-1", 0.02) is None
        assert await store.backend.wait_for_outcome("order-1", 0) is None

    async def test_nobodys_end_is_not_found(self, store: StoreUnderTest) -> None:
        with pytest.raises(InstanceNotFound):
            await store.backend.wait_for_outcome("nobody", 0.02)

    async def test_operators_ends_are_told_too(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        waiting = asyncio.create_task(store.backend.wait_for_outcome("order-1", LONG))
        await asyncio.sleep(0.02)
        await store.backend.commit(Terminate(instance_id="order-1", reason="fraud"))
        outcome = await asyncio.wait_for(waiting, LONG / 2)
        assert outcome is not None
        assert (outcome.state, outcome.reason) == (State.TERMINATED, "fraud")

    async def test_an_end_that_is_removed_at_once_leaves_nobody_waiting(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        waiting = asyncio.create_task(store.backend.wait_for_outcome("order-1", LONG))
        await asyncio.sleep(0.02)
        await store.backend.commit(Terminate(instance_id="order-1"))
        await store.backend.commit(Remove(instance_id="order-1"))
        with contextlib.suppress(InstanceNotFound):  # if the waiter came to look after the removal
            assert await asyncio.wait_for(waiting, LONG / 2) is not None


class Threads:
    async def test_a_twin_serves_another_threads_loop(self, store: StoreUnderTest) -> None:
        """B10: a worker and a synchronous client have loops of their own."""
        outcomes: list[object] = []
        loop, is_created = asyncio.get_running_loop(), asyncio.Event()

        async def elsewhere() -> None:
            twin = store.backend.twin()
            await twin.open()
            try:
                outcomes.append(await twin.commit(builders.create("order-1")))
                loop.call_soon_threadsafe(is_created.set)
                outcomes.append(await twin.wait_for_outcome("order-1", LONG))
            finally:
                await twin.close()

        worker = await store.worker()
        await worker.claim()
        thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
        waiting = asyncio.create_task(is_woken(worker))
        await asyncio.sleep(0.02)
        thread.start()
        assert await waiting
        await is_created.wait()
        await worker.run(closing=builders.completed())
        await asyncio.to_thread(thread.join, LONG)
        created, outcome = outcomes
        assert isinstance(created, Created)
        assert getattr(outcome, "state", None) is State.COMPLETED

    async def test_closing_a_handle_keeps_what_was_acknowledged(self, store: StoreUnderTest) -> None:
        """B9."""
        twin = store.backend.twin()
        await twin.open()
        await asyncio.gather(*(twin.commit(builders.create(f"order-{number}")) for number in range(20)))
        await twin.close()
        assert await store.backend.count_instances() == {State.RUNNING: 20}

    async def test_closing_finishes_what_was_on_its_way(self, store: StoreUnderTest) -> None:
        twin = store.backend.twin()
        await twin.open()
        commits = [asyncio.create_task(twin.commit(builders.create(f"order-{number}"))) for number in range(20)]
        await asyncio.sleep(0)
        await twin.close()
        assert all(isinstance(outcome, Created) for outcome in await asyncio.gather(*commits))
        assert await store.backend.count_instances() == {State.RUNNING: 20}
