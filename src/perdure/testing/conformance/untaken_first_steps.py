"""What every store promises about first steps that it doesn't take: it is as if they weren't there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.errors import InstanceNotFound, StoreUsageError
from perdure.model.event import PatchMarked
from perdure.model.instance import State
from perdure.model.options import IfExists
from perdure.model.transition import (
    Checkpointed,
    Created,
    CreateInstance,
    Existing,
    Suspend,
    Terminate,
)
from perdure.testing.conformance import builders
from perdure.testing.conformance.batching import HALF_A_PAIR
from perdure.testing.conformance.playing import StoreUnderTest, carried_by, in_memory, names_of


class UntakenFirstSteps:
    async def _assert_plain(self, store: StoreUnderTest, request: CreateInstance) -> None:
        """The instance is there, and nothing of the step."""
        outcome = await store.backend.commit(request)
        assert isinstance(outcome, Created), outcome
        assert (outcome.first, outcome.token) == (None, 0)
        instance = await store.backend.read_instance(request.instance_id)
        assert (instance.history_length, instance.worker) == (0, None)
        assert await store.backend.read_activities(request.instance_id) in ((), [])

    async def _assert_taken(self, store: StoreUnderTest, request: CreateInstance) -> None:
        outcome = await store.backend.commit(request)
        assert isinstance(outcome, Created), outcome
        assert outcome.first is not None

    # --- requests that come again

    async def test_a_start_with_a_first_step_repeated_changes_nothing(self, store: StoreUnderTest) -> None:
        """B4: the answer was lost; the lease isn't given out again, but it holds."""
        worker = await store.worker()
        request = worker.start_request("order-1", activities=(builders.activity(),))
        first = await store.backend.commit(request)
        assert isinstance(first, Created)
        again = await store.backend.commit(request)
        assert again == Created(instance_key=first.instance_key, execution_id=first.execution_id)
        assert len(await store.backend.read_history("order-1")) == 1
        assert len(await store.backend.read_activities("order-1")) == 1
        assert isinstance(await worker.try_checkpoint(in_memory(request, first)), Checkpointed)

    async def test_a_start_repeated_side_by_side_takes_its_first_step_once(self, store: StoreUnderTest) -> None:
        """B4: both in one batch."""
        worker = await store.worker()
        request = worker.start_request("order-1", activities=(builders.activity(),))
        outcomes = await asyncio.gather(store.backend.commit(request), store.backend.commit(request))
        assert all(isinstance(outcome, Created) for outcome in outcomes)
        assert sum(isinstance(outcome, Created) and outcome.first is not None for outcome in outcomes) == 1
        assert len(await store.backend.read_activities("order-1")) == 1

    async def test_a_first_step_behind_its_own_plain_start_is_late(self, store: StoreUnderTest) -> None:
        """B4: one request, whichever of its forms came first."""
        worker = await store.worker()
        plain = builders.create("order-1")
        created = await store.backend.commit(plain)
        assert await store.backend.commit(builders.with_step(plain, worker.offer())) == created
        assert names_of(await worker.claim_workflow_task()) == ["ExecutionStarted"]

    async def test_a_plain_start_behind_its_own_first_step_is_success(self, store: StoreUnderTest) -> None:
        """B4: a start whose answer was lost is repeated without the step."""
        worker = await store.worker()
        started = await worker.begin("order-1", start={"request_id": b"request".ljust(16)})
        again = await store.backend.commit(builders.create("order-1", request_id=b"request".ljust(16)))
        assert again == Created(instance_key=started.created.instance_key, execution_id=started.created.execution_id)
        assert len(await store.backend.read_history("order-1")) == 1

    # --- ids that are taken

    @pytest.mark.parametrize("if_exists", list(IfExists))
    async def test_a_running_instance_takes_no_first_step(self, store: StoreUnderTest, if_exists: IfExists) -> None:
        """C2: it is there already, and goes on undisturbed."""
        worker = await store.worker()
        started = await worker.begin("order-1")
        request = worker.start_request("order-1", builders.marked(), start={"if_exists": if_exists})
        assert isinstance(await store.backend.commit(request), Existing)
        assert len(await store.backend.read_history("order-1")) == 1
        await worker.checkpoint(started.task)

    async def test_use_signals_the_existing_one_and_takes_no_step(self, store: StoreUnderTest) -> None:
        """C1, C2: the signals are its next events then."""
        worker = await store.worker()
        await worker.begin("order-1")
        start = {"if_exists": IfExists.USE, "signals": (builders.signal("a"),)}
        outcome = await store.backend.commit(worker.start_request("order-1", builders.marked(), start=start))
        assert isinstance(outcome, Existing)
        assert names_of(await worker.claim_workflow_task()) == ["a"]

    async def test_an_ended_instance_keeps_its_id_against_a_first_step(self, store: StoreUnderTest) -> None:
        """C2."""
        worker = await store.worker()
        await store.finished(worker, "order-1")
        outcome = await store.backend.commit(worker.start_request("order-1"))
        assert isinstance(outcome, Existing)
        assert outcome.state is State.COMPLETED

    # --- workers that couldn't have claimed it

    async def test_a_worker_that_has_stopped_takes_no_first_step(self, store: StoreUnderTest) -> None:
        """B3, K3."""
        gone, other = await store.worker(), await store.worker("worker-2")
        await gone.stop()
        await self._assert_plain(store, gone.start_request("order-1", activities=(builders.activity(),)))
        assert names_of(await other.claim_workflow_task()) == ["ExecutionStarted"]

    async def test_a_worker_that_was_marked_dead_takes_no_first_step(self, store: StoreUnderTest) -> None:
        """B3: it stops by its own clock; another one begins anew."""
        dead, other = await store.worker(lease=2), await store.worker("worker-2", lease=1000)
        await store.advance(3)
        await store.backend.housekeep()
        await self._assert_plain(store, dead.start_request("order-1"))
        assert names_of(await other.claim_workflow_task()) == ["ExecutionStarted"]

    async def test_a_worker_that_nobody_knows_takes_no_first_step(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        unknown = type(worker)(store.backend, worker.key + 1, worker.start)
        await self._assert_plain(store, unknown.start_request("order-1"))

    async def test_only_a_worker_that_serves_the_instance_takes_a_first_step(self, store: StoreUnderTest) -> None:
        """K1, W12: queue, name and version, as for a claim."""
        worker = await store.worker(versions=frozenset({"2"}))
        served: dict[str, Any] = {"version": "2"}
        others: tuple[dict[str, Any], ...] = (
            {"queue": "eu"},
            {"workflow": "unheard of"},
            {"version": "1"},
            {"version": None},
        )
        for number, changes in enumerate(others):
            await self._assert_plain(store, worker.start_request(f"order-{number}", start={**served, **changes}))
        await self._assert_taken(store, worker.start_request("served", start=served))

    # --- work that comes first

    async def test_a_delayed_start_takes_no_first_step(self, store: StoreUnderTest) -> None:
        """C1: it begins when the delay is over."""
        worker = await store.worker(lease=1000)
        await self._assert_plain(store, worker.start_request("order-1", start={"start_delay": store.micros(3)}))
        assert await worker.claim_workflow_tasks() == ()
        await store.advance(3.2)
        assert names_of(await worker.claim_workflow_task()) == ["ExecutionStarted"]

    async def test_a_first_step_does_not_overtake_what_waits(self, store: StoreUnderTest) -> None:
        """B2: claims go by age, and so do first steps; then the instances come in their order."""
        worker = await store.worker()
        await store.create("old")
        await self._assert_plain(store, worker.start_request("young"))
        tasks = await worker.claim_workflow_tasks()
        assert [task.instance_id for task in tasks] == ["old", "young"]
        await self._assert_taken(store, worker.start_request("youngest"))

    async def test_a_first_step_overtakes_work_of_lower_priority(self, store: StoreUnderTest) -> None:
        """B2: as a claim does; but not its like, nor what is more urgent."""
        worker = await store.worker()
        await store.create("old", priority=1)
        await self._assert_taken(store, worker.start_request("urgent", start={"priority": 2}))
        await self._assert_plain(store, worker.start_request("alike", start={"priority": 1}))
        await self._assert_plain(store, worker.start_request("less", start={"priority": 0}))

    async def test_older_work_that_the_worker_could_not_claim_holds_no_first_step_up(
        self, store: StoreUnderTest
    ) -> None:
        """B2: other queues, names and versions; suspended, delayed, and what somebody holds."""
        worker, other = await store.worker(versions=frozenset({"1"})), await store.worker("worker-2")
        await other.begin("held by another", start={"version": "1"})
        await store.signal("held by another")
        await store.create("elsewhere", queue="eu", version="1")
        await store.create("unheard of", workflow="unheard of", version="1")
        await store.create("of another version", version="2")
        await store.create("suspended", version="1")
        await store.backend.commit(Suspend(instance_id="suspended"))
        await store.create("delayed", version="1", start_delay=store.micros(1_000_000))
        await store.create("ended", version="1")
        await store.backend.commit(Terminate(instance_id="ended"))
        await self._assert_taken(store, worker.start_request("order-1", start={"version": "1"}))

    async def test_what_the_worker_holds_itself_holds_no_first_step_up(self, store: StoreUnderTest) -> None:
        """B2: a cached execution's own workflow tasks apart: they stand on no queue."""
        worker = await store.worker()
        await worker.begin("order-1")
        await store.signal("order-1")
        await self._assert_taken(store, worker.start_request("order-2"))
        assert names_of(await worker.claim_workflow_task()) == ["approval"]

    async def test_work_whose_time_comes_holds_first_steps_up(self, store: StoreUnderTest) -> None:
        """B6: a timer, say; it counts from when it is due, whoever has noticed."""
        worker = await store.worker(lease=1000)
        begun = (await worker.claim()).now
        await worker.begin("old", next_timer_at=begun + store.micros(3), release=True)
        await self._assert_taken(store, worker.start_request("early"))
        await store.advance(3.2)
        await self._assert_plain(store, worker.start_request("late"))

    # --- what becomes of it

    async def test_what_was_not_taken_can_be_taken_by_a_claim(self, store: StoreUnderTest) -> None:
        """C1: with all that the start carries, and what arrived meanwhile."""
        worker = await store.worker()
        await store.create("old")
        signals = (builders.signal("a"), builders.signal("b"))
        await self._assert_plain(
            store, worker.start_request("young", builders.marked(), published={"key": b"1"}, start={"signals": signals})
        )
        await store.signal("young", "c")
        task = (await worker.claim_workflow_tasks())[1]
        assert [signal.name for signal in carried_by(task)] == ["a", "b"]
        assert names_of(task) == ["ExecutionStarted", "c"]
        assert await store.backend.read_published("young", "key") is None
        await worker.checkpoint(task)

    async def test_a_step_not_taken_sends_and_ends_nothing(self, store: StoreUnderTest) -> None:
        """B5: all of it is as if it weren't there."""
        worker = await store.worker()
        await store.create("old")
        message = builders.sub_workflow("child-1", 1)
        request = worker.start_request("young", messages=(message,), closing=builders.completed())
        await self._assert_plain(store, request)
        assert (await store.backend.read_instance("young")).state is State.RUNNING
        with pytest.raises(InstanceNotFound):
            await store.backend.read_instance("child-1")

    async def test_a_first_step_that_cannot_be_kept_leaves_nothing(self, store: StoreUnderTest) -> None:
        """B2: whole or not at all; what it was to replace stays as well."""
        worker = await store.worker()
        await store.finished(worker, "ended")
        broken = PatchMarked(number=1, patch_id=HALF_A_PAIR)
        with pytest.raises(StoreUsageError):
            await store.backend.commit(worker.start_request("order-1", broken))
        with pytest.raises(StoreUsageError):
            await store.backend.commit(worker.start_request("ended", broken, start={"if_exists": IfExists.RESTART}))
        with pytest.raises(InstanceNotFound):
            await store.backend.read_instance("order-1")
        assert (await store.backend.read_instance("ended")).state is State.COMPLETED
        await self._assert_taken(store, worker.start_request("order-1"))
