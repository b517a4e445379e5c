"""What every store promises about transitions that are handed in without a task that awaits them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.backends.answers import Answer
from perdure.errors import StoreSealed, StoreUsageError
from perdure.model.event import PatchMarked
from perdure.model.transition import Appended, Checkpointed, Created, Rejected
from perdure.testing.conformance import builders
from perdure.testing.conformance.batching import HALF_A_PAIR
from perdure.testing.conformance.playing import StoreUnderTest, names_of


class Submitting:
    async def test_what_was_submitted_takes_place(self, store: StoreUnderTest) -> None:
        """B2: as if it had been committed; the answer gives the same outcome."""
        outcome = await store.backend.submit(builders.create("order-1"))
        assert isinstance(outcome, Created)
        assert (await store.backend.read_instance("order-1")).execution_id == outcome.execution_id.hex()

    async def test_it_is_on_its_way_without_anybody_waiting(self, store: StoreUnderTest) -> None:
        """B2: what is committed behind it on the same instance finds it done."""
        answer = store.backend.submit(builders.create("order-1"))
        assert await store.backend.commit(builders.append_signal("order-1")) == Appended()
        assert isinstance(await answer, Created)

    async def test_transitions_of_one_instance_take_place_and_call_back_in_order(self, store: StoreUnderTest) -> None:
        """B2, B5."""
        names = [f"signal-{number}" for number in range(30)]
        called: list[str] = []
        await store.create("order-1")
        all_called = asyncio.Event()

        def note(name: str) -> None:
            called.append(name)
            if len(called) == len(names):
                all_called.set()

        for name in names:
            answer = store.backend.submit(builders.append_signal("order-1", name))
            answer.add_done_callback(lambda _, name=name: note(name))  # type: ignore[misc]
        assert called == []  # never inside the call
        await all_called.wait()
        assert called == names
        assert names_of(await (await store.worker()).claim_workflow_task()) == ["ExecutionStarted", *names]

    async def test_its_callback_runs_on_the_loop_of_the_store(self, store: StoreUnderTest) -> None:
        """B10: never in a thread of the store's own."""
        here = asyncio.get_running_loop()
        found: asyncio.Future[asyncio.AbstractEventLoop] = here.create_future()
        store.backend.submit(builders.create("order-1")).add_done_callback(
            lambda _: found.set_result(asyncio.get_running_loop())
        )
        assert await found is here

    async def test_a_checkpoint_can_be_submitted_behind_what_it_follows(self, store: StoreUnderTest) -> None:
        """B2: each has its own outcome; a fence that fails harms nobody else."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        first, second, third = (
            store.backend.submit(builders.completion(task)),
            store.backend.submit(builders.completion(task, position=1, events=())),
            store.backend.submit(builders.completion(task)),
        )
        assert isinstance(await first, Checkpointed)
        assert isinstance(await second, Checkpointed)
        assert isinstance(await third, Rejected)

    async def test_an_error_is_the_answers(self, store: StoreUnderTest) -> None:
        """B2, B12: submitting raises nothing; a sealed store says so to whoever awaits."""
        await store.create("order-1")
        worker = await store.worker()
        task = await worker.claim_workflow_task()
        broken = PatchMarked(number=1, patch_id=HALF_A_PAIR)
        answer = store.backend.submit(builders.completion(task, broken))
        with pytest.raises(StoreUsageError):
            await answer
        await store.backend.seal("elsewhere")
        sealed = store.backend.submit(builders.create("order-2"))
        with pytest.raises(StoreSealed):
            await sealed

    async def test_whoever_gives_up_waiting_takes_nothing_back(self, store: StoreUnderTest) -> None:
        """B2: what was on its way goes on."""
        answer = store.backend.submit(builders.create("order-1"))
        waiting = asyncio.create_task(_wait(answer))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await store.backend.commit(builders.append_signal("order-1"))) == Appended()


async def _wait(answer: Answer[Any]) -> Any:
    return await answer
