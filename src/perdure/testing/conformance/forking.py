"""What every store promises about instances that begin with a history, and in no worker's hands: forks and rewinds."""

from __future__ import annotations

from typing import Any

import msgspec

from perdure.model.instance import State
from perdure.model.options import IfExists
from perdure.model.transition import Created, CreateInstance, Existing
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import StoreUnderTest

_FORK: dict[str, Any] = {"release": True, "activities": (builders.activity(1), builders.activity(2))}


def fork(instance_id: str = "fork", *, if_exists: IfExists = IfExists.RAISE, **parts: Any) -> CreateInstance:
    request = builders.create(instance_id, if_exists=if_exists)
    return builders.with_step(request, None, builders.marked(1), **{**_FORK, **parts})


class Forking:
    async def test_a_history_is_taken_whoever_waits_and_nobody_holds_it(self, store: StoreUnderTest) -> None:
        """B2: unlike a worker's first step, which may be declined; to begin anew instead would be another instance."""
        await store.create("older")

        created = await store.backend.commit(fork())

        assert isinstance(created, Created)
        assert created.first is not None
        assert (created.token, created.first.activities, created.first.workflow_task) == (0, (), None)
        instance = await store.backend.read_instance("fork")
        assert (instance.history_length, instance.worker, instance.state) == (2, None, State.RUNNING)
        assert [type(each.event).__name__ for each in await store.backend.read_history("fork")] == [
            "ExecutionStarted",
            "PatchMarked",
        ]

    async def test_its_activities_and_its_timers_are_for_any_worker(self, store: StoreUnderTest) -> None:
        await store.backend.commit(fork(next_timer_at=1))  # a timer of the first one may be long due
        worker = await store.worker()

        assert [task.number for task in await worker.claim_activities()] == [1, 2]
        task = await worker.claim_workflow_task()
        assert (task.instance_id, task.position, task.pending) == ("fork", 2, ())

    async def test_without_a_timer_it_waits_for_what_comes(self, store: StoreUnderTest) -> None:
        await store.backend.commit(fork())
        worker = await store.worker()
        assert await worker.claim_workflow_tasks() == ()

        (first, _) = await worker.claim_activities()
        await worker.complete(first)

        assert (await worker.claim_workflow_task()).position == 2

    async def test_its_sub_workflows_begin_with_it(self, store: StoreUnderTest) -> None:
        name, child = store.neighbours[:2]
        await store.backend.commit(fork(name, messages=(builders.sub_workflow(child),), activities=()))

        assert (await store.backend.read_instance(child)).parent is not None

    async def test_asking_twice_is_asking_once(self, store: StoreUnderTest) -> None:
        """B4: an answer that was lost."""
        request = fork()
        await store.backend.commit(request)

        again = await store.backend.commit(request)

        assert isinstance(again, Created)
        assert len(await (await store.worker()).claim_activities()) == 2

    async def test_a_taken_id_stays_with_its_instance(self, store: StoreUnderTest) -> None:
        await store.create("fork")

        assert isinstance(await store.backend.commit(fork()), Existing)

    async def test_a_rewind_takes_the_place_of_what_failed_and_of_nothing_else(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await store.finished(worker, "failed", closing=builders.failed())
        await store.finished(worker, "done")
        await store.create("running")

        rewound = await store.backend.commit(fork("failed", if_exists=IfExists.RESTART_FAILED))
        others = [
            await store.backend.commit(fork(name, if_exists=IfExists.RESTART_FAILED)) for name in ("done", "running")
        ]

        assert isinstance(rewound, Created)
        assert all(isinstance(other, Existing) for other in others)
        instance = await store.backend.read_instance("failed")
        assert (instance.state, instance.history_length, instance.ended_at) == (State.RUNNING, 2, None)
        assert await store.backend.read_outcome("failed") is None

    async def test_what_was_published_is_there(self, store: StoreUnderTest) -> None:
        await store.backend.commit(fork(published={"stage": b'"paid"'}))

        assert await store.backend.read_published("fork", "stage") == b'"paid"'

    async def test_a_time_that_is_over_is_no_obstacle(self, store: StoreUnderTest) -> None:
        """The start stands in history with the time when the first one began."""
        request = fork()
        assert request.first_step is not None
        first, *others = request.first_step.checkpoint.events
        old = msgspec.structs.replace(first, at=1)
        checkpoint = msgspec.structs.replace(request.first_step.checkpoint, events=(old, *others))
        step = msgspec.structs.replace(request.first_step, checkpoint=checkpoint)

        await store.backend.commit(msgspec.structs.replace(request, first_step=step))

        assert (await store.backend.read_history("fork"))[0].event == old
