"""What every store promises about a worker that may hold what it doesn't know of, and ends what it runs."""

from __future__ import annotations

import json

from perdure.model.inspection import SettingKind
from perdure.model.transition import ActivityRetry, CompleteActivityTask, Created, Heartbeat, Recorded, Rejected
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest, names_of


class Retiring:
    async def test_a_retired_worker_gives_back_all_but_what_it_runs(self, store: StoreUnderTest) -> None:
        """B4: nobody knows of what was leased in an answer that got lost."""
        worker, other = await store.worker(), await store.worker("worker-2")
        await store.create("order-1")
        await store.create("order-2")
        task, _ = await worker.claim_workflow_tasks()
        await worker.checkpoint(task, activities=(builders.activity(1), builders.activity(2)))
        await store.signal("order-1")
        runs, lost = await worker.claim_activities()

        await worker.retire(runs)

        claimed = await other.claim()
        assert [each.instance_id for each in claimed.workflow_tasks] == ["order-1", "order-2"]
        assert [(each.number, each.attempt) for each in claimed.activity_tasks] == [(lost.number, 1)]
        assert isinstance(await worker.complete(lost), Rejected)
        assert await worker.heartbeat(runs) == Heartbeat(is_held=True)
        assert await worker.complete(runs) == Recorded()
        assert [each.lost for each in await store.backend.read_activities("order-1")] == [0]

    async def test_it_keeps_the_attempt_that_it_runs_and_no_later_one(self, store: StoreUnderTest) -> None:
        """The same activity may have been leased to it anew, in the answer that got lost."""
        worker, other = await store.worker(), await store.worker("worker-2")
        attempt = await store.scheduled(worker)
        await worker.complete(attempt, ActivityRetry(builders.FAILURE, 0))
        again = await worker.claim_activity()
        assert again.token != attempt.token

        await worker.retire(attempt)

        assert (await other.claim_activity()).attempt == 2

    async def test_it_takes_nothing_more(self, store: StoreUnderTest) -> None:
        """By a claim, an offer or a first step that was on its way."""
        worker, other = await store.worker(), await store.worker("worker-2")
        runs = await store.scheduled(worker, "order-1")
        attempt = await store.scheduled(other, "order-2")
        await worker.retire(runs)
        await store.create("order-3")

        claimed = await worker.claim()
        end = CompleteActivityTask(
            activity_key=attempt.activity_key,
            token=attempt.token,
            end=ActivityRetry(builders.FAILURE, 0),
            offer=worker.offer(),
        )
        handed_back = await store.backend.commit(end)
        created = await store.backend.commit(worker.start_request("order-4"))

        assert (claimed.workflow_tasks, claimed.activity_tasks) == ((), ())
        assert handed_back == Recorded(workflow_task=None)
        assert await worker.complete(runs, offer=worker.offer()) == Recorded(workflow_task=None)
        assert isinstance(created, Created)
        assert created.first is None
        waiting = await other.claim_workflow_tasks()
        assert [task.instance_id for task in waiting] == ["order-1", "order-3", "order-4"]
        assert names_of(waiting[0]) == ["ActivityCompleted"]

    async def test_what_it_runs_is_its_own_as_long_as_it_beats(self, store: StoreUnderTest) -> None:
        worker, other = await store.worker(lease=2), await store.worker("worker-2", lease=1000)
        await worker.retire(await store.scheduled(worker))
        for _ in range(2):
            await store.advance(1.5)
            assert (await store.backend.beat(worker.key)).is_alive
            assert (await store.backend.housekeep()).workers_lost == 0
        assert await other.claim_activities() == ()
        await store.advance(2.5)
        assert (await store.backend.housekeep()).activities_lost == 1
        assert len(await other.claim_activities()) == 1

    async def test_it_may_retire_twice_and_ends_as_others_do(self, store: StoreUnderTest) -> None:
        worker, other = await store.worker(), await store.worker("worker-2")
        runs = await store.scheduled(worker)
        await worker.retire(runs)
        await worker.retire(runs)
        assert await other.claim_activities() == ()
        await worker.stop()
        assert len(await other.claim_activities()) == 1
        await worker.retire()
        assert [each.worker for each in await store.backend.list_workers()] == ["worker-2"]

    async def test_permits_come_free_with_what_it_gives_back(self, store: StoreUnderTest) -> None:
        await store.backend.put_setting(SettingKind.QUEUE, "default", json.dumps({"at_once": 2}).encode())
        await store.create("order-1")
        worker, other = await store.worker(), await store.worker("worker-2")
        await worker.run(activities=tuple(builders.activity(number) for number in range(1, 5)))
        runs, _ = await worker.claim_activities()
        assert await other.claim_activities() == ()
        await worker.retire(runs)
        assert len(await other.claim_activities()) == 1
