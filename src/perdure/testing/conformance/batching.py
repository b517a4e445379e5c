"""What every store promises about transitions that are committed together: each has its own outcome."""

from __future__ import annotations

import asyncio

import pytest

from perdure.errors import PerdureError, StoreError
from perdure.model.event import ExecutionFailed, SignalReceived
from perdure.model.failure import Failure
from perdure.model.instance import State
from perdure.model.transition import Appended, Checkpointed, Created, Existing, NotAppended, Recorded, Rejected
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import PlayedWorker, StoreUnderTest, names_of

HALF_A_PAIR = "\ud800"
"""Half a surrogate pair: a str of Python that has no UTF-8."""


class Batching:
    async def test_many_instances_go_through_their_lives_side_by_side(self, store: StoreUnderTest) -> None:
        """B2: group commit changes no outcome."""
        worker = await store.worker()
        await asyncio.gather(*(store.create(f"order-{number}") for number in range(60)))
        tasks = await worker.claim_workflow_tasks()
        assert len(tasks) == 60
        written = await asyncio.gather(
            *(worker.checkpoint(task, activities=(builders.activity(),), offer=worker.offer(1)) for task in tasks)
        )
        handed = [attempt for checkpointed in written for attempt in checkpointed.activities]
        attempts = [*handed, *await worker.claim_activities()]
        assert len(attempts) == 60
        recorded = await asyncio.gather(*(worker.complete(attempt, offer=worker.offer()) for attempt in attempts))
        following = [done.workflow_task for done in recorded if isinstance(done, Recorded) and done.workflow_task]
        assert len(following) == 60
        await asyncio.gather(*(worker.checkpoint(task, closing=builders.completed()) for task in following))
        assert await store.backend.count_instances() == {State.COMPLETED: 60}
        for number in range(60):
            assert len(await store.backend.read_history(f"order-{number}")) == 3

    async def test_many_changes_of_one_instance_side_by_side_are_all_made(self, store: StoreUnderTest) -> None:
        """B2: a batch changes each instance row once; the others wait for the next one."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.run(activities=tuple(builders.activity(number) for number in range(1, 11)))
        attempts = await worker.claim_activities()
        outcomes = await asyncio.gather(
            *(worker.complete(attempt) for attempt in attempts),
            *(store.backend.commit(builders.append_signal("order-1")) for _ in range(10)),
            worker.try_checkpoint(task, builders.marked(11), position=1, events=()),
        )
        assert [type(outcome) for outcome in outcomes] == [*[Recorded] * 10, *[Appended] * 10, Checkpointed]
        final = await worker.claim_workflow_task()
        assert [pending.id for pending in final.pending] == list(range(1, 21))
        assert sorted(names_of(final)) == [*["ActivityCompleted"] * 10, *["approval"] * 10]
        assert final.position == 2

    async def test_a_parents_checkpoint_and_its_childs_end_side_by_side(self, store: StoreUnderTest) -> None:
        """B2: tried: in one statement the second update of the parent's row silently did nothing."""
        worker = await store.worker()
        for number in range(10):
            await store.create(f"parent-{number}")
            parent = await worker.run(messages=(builders.sub_workflow(f"child-{number}", 1),))
            child = await worker.claim_workflow_task()
            await asyncio.gather(
                worker.checkpoint(parent, builders.marked(2), position=1, events=()),
                worker.checkpoint(child, closing=builders.completed()),
            )
            task = await worker.claim_workflow_task()
            assert (task.instance_id, task.position) == (f"parent-{number}", 2)
            assert names_of(task) == ["SubWorkflowCompleted"]
            await worker.checkpoint(task, closing=builders.completed())
        assert await store.backend.count_instances() == {State.COMPLETED: 20}

    async def test_outcomes_of_a_batch_are_not_mixed_up(self, store: StoreUnderTest) -> None:
        """B2: each transition has its own outcome."""
        await store.create("taken")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        outcomes = await asyncio.gather(
            store.backend.commit(builders.create("taken")),
            store.backend.commit(builders.create("free")),
            store.backend.commit(builders.append_signal("taken")),
            store.backend.commit(builders.append_signal("nobody")),
            worker.try_checkpoint(task, token=1),
            worker.try_checkpoint(task),
        )
        kinds = [Existing, Created, Appended, NotAppended, Rejected, Checkpointed]
        assert [type(outcome) for outcome in outcomes] == kinds

    async def test_a_cancelled_caller_leaves_the_store_whole(self, store: StoreUnderTest) -> None:
        """Cancelling the caller doesn't take a transition back that was on its way, nor anybody else's."""
        commits = [asyncio.create_task(store.backend.commit(builders.create(f"order-{n}"))) for n in range(20)]
        await asyncio.sleep(0)
        for commit in commits[::2]:
            commit.cancel()
        done = await asyncio.gather(*commits, return_exceptions=True)
        assert all(isinstance(outcome, Created) for outcome in done[1::2])
        await store.create("last")
        for number, outcome in enumerate(done):
            if isinstance(outcome, Created):
                assert (await store.backend.read_instance(f"order-{number}")).state is State.RUNNING
        assert await store.backend.count_instances() in [{State.RUNNING: count} for count in range(11, 22)]


class Poison:
    """One that the database refuses harms nobody else; it is either taken whole, or refused as a StoreError."""

    @staticmethod
    async def _with_neighbours(store: StoreUnderTest, worker: PlayedWorker, failure: Failure) -> object:
        """The outcome of a checkpoint that ends with `failure`, in the middle of others, who must all succeed."""
        await asyncio.gather(*(store.create(f"order-{number}") for number in range(11)))
        tasks = await worker.claim_workflow_tasks()
        outcomes = await asyncio.gather(
            *(
                worker.try_checkpoint(task, closing=builders.failed(failure) if number == 5 else builders.completed())
                for number, task in enumerate(tasks)
            ),
            return_exceptions=True,
        )
        poisoned = outcomes.pop(5)
        assert all(isinstance(outcome, Checkpointed) for outcome in outcomes)
        instance = await store.backend.read_instance(tasks[5].instance_id)
        if isinstance(poisoned, Checkpointed):
            outcome = await store.backend.read_outcome(tasks[5].instance_id)
            assert outcome is not None
            assert outcome.failure == failure
            last = (await store.backend.read_history(tasks[5].instance_id))[-1].event
            assert last == ExecutionFailed(failure=failure)
        else:
            assert isinstance(poisoned, StoreError), poisoned
            assert (instance.state, instance.history_length) == (State.RUNNING, 0)
            assert isinstance(await worker.try_checkpoint(tasks[5]), Checkpointed)
        return poisoned

    async def test_a_nul_in_a_text_harms_its_own_transition_alone(self, store: StoreUnderTest) -> None:
        """B2."""
        await self._with_neighbours(store, await store.worker(), Failure(types=("a:B",), message="a\0b\0"))

    async def test_a_text_without_utf8_harms_its_own_transition_alone(self, store: StoreUnderTest) -> None:
        """B2."""
        failure = Failure(types=("a:B",), message=HALF_A_PAIR)
        poisoned = await self._with_neighbours(store, await store.worker(), failure)
        assert isinstance(poisoned, StoreError)

    async def test_a_huge_payload_harms_its_own_transition_alone(self, store: StoreUnderTest) -> None:
        """B2: MariaDB refuses packets of 16 MB by default."""
        failure = Failure(types=("a:B",), message="huge", arguments=bytes(24_000_000))
        await self._with_neighbours(store, await store.worker(), failure)

    @pytest.mark.parametrize("text", ["a\0b", HALF_A_PAIR])
    async def test_a_poisoned_start_or_signal_harms_nobody_else(self, store: StoreUnderTest, text: str) -> None:
        """B2."""
        await store.create("order-1")
        event = SignalReceived(at=0, name=text, payload=b"")
        outcomes = await asyncio.gather(
            *(store.backend.commit(builders.append_signal("order-1", f"signal-{n}")) for n in range(5)),
            store.backend.commit(builders.append_signal("order-1", event=event)),
            store.backend.commit(builders.create("order-2", tags={"tag": text})),
            *(store.backend.commit(builders.create(f"good-{n}")) for n in range(5)),
            return_exceptions=True,
        )
        assert outcomes[:5] == [Appended()] * 5
        assert all(isinstance(outcome, Created) for outcome in outcomes[7:])
        assert outcomes[5] == Appended() or isinstance(outcomes[5], PerdureError)
        assert isinstance(outcomes[6], Created | PerdureError)
        tasks = await (await store.worker()).claim_workflow_tasks()
        taken = [name for name in names_of(tasks[0]) if name != text]
        assert taken == ["ExecutionStarted", *(f"signal-{number}" for number in range(5))]
        assert len(tasks) == 6 + isinstance(outcomes[6], Created)

    async def test_a_large_history_is_kept_and_read(self, store: StoreUnderTest) -> None:
        """The trap "a limit on the history that ends a workflow at 10,000 events for good": the store has none."""
        created = await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        await worker.checkpoint(task, *(builders.marked(number) for number in range(12_000)))
        assert (await store.backend.read_instance("order-1")).history_length == 12_001
        assert len(await store.backend.read_events(created.instance_key, created.execution_id)) == 12_001
