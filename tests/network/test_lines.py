"""A step doesn't ask who waits before it, and yet overtakes nobody: what it takes for empty is verified when it is written."""

from __future__ import annotations

import asyncio

from perdure.model.task import ActivityTask
from perdure.model.transition import ActivityRetry, Checkpointed, Created
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import Begun, PlayedWorker
from tests.network.machines import Machines, under_test

_STEPS = 20


class Stepping:
    """An execution in memory: each step takes the result of an activity and begins the next one."""

    def __init__(self, worker: PlayedWorker, begun: Begun) -> None:
        self._worker = worker
        self._task = begun.task
        self._position = begun.task.position
        (self._attempt,) = begun.first.activities
        self._number = 1

    async def step(self) -> tuple[ActivityTask, ...]:
        """What of the next activity is handed back."""
        self._number += 1
        done: Checkpointed = await self._worker.checkpoint(
            self._task,
            builders.marked(self._number),
            position=self._position,
            events=(),
            fused=builders.fused(self._attempt.activity_key, self._attempt.token),
            activities=(builders.activity(self._number),),
            offer=self._worker.offer(),
        )
        self._position += 1
        if done.activities:
            (self._attempt,) = done.activities
        return done.activities


async def stepping(worker: PlayedWorker, instance_id: str) -> Stepping:
    return Stepping(worker, await worker.begin(instance_id, activities=(builders.activity(1),)))


async def test_a_step_waits_behind_an_older_instances_activity_of_another_machine(machines: Machines) -> None:
    here, there = await machines.start(), await machines.start()
    first, second = await under_test(here.backend).worker("first"), await under_test(there.backend).worker("second")
    older = await second.begin("older")
    younger = await stepping(first, "younger")
    for _ in range(3):
        assert await younger.step()

    await second.checkpoint(older.task, activities=(builders.activity(1),))  # offered to nobody

    assert not await younger.step()
    claimed = await first.claim_activities()
    assert [task.instance_id for task in claimed] == ["older", "younger"]


async def test_a_start_waits_behind_an_older_instance_of_another_machine(machines: Machines) -> None:
    here, there = await machines.start(), await machines.start()
    first = await under_test(here.backend).worker("first")
    for number in range(3):
        await first.begin(f"begun-{number}")

    await under_test(there.backend).create("older")

    created = await here.backend.commit(first.start_request("younger"))
    assert isinstance(created, Created)
    assert created.first is None
    assert [task.instance_id for task in await first.claim_workflow_tasks()] == ["older", "younger"]


async def test_a_retry_that_falls_due_elsewhere_is_not_overtaken(machines: Machines) -> None:
    here, there = await machines.start(), await machines.start()
    first, second = await under_test(here.backend).worker("first"), await under_test(there.backend).worker("second")
    older = await second.begin("older", activities=(builders.activity(1),))
    younger = await stepping(first, "younger")
    for _ in range(3):
        assert await younger.step()

    await second.complete(older.first.activities[0], ActivityRetry(builders.FAILURE, delay=100_000))

    async with asyncio.timeout(20):
        while await younger.step():
            continue
    claimed = await first.claim_activities()
    assert [task.instance_id for task in claimed] == ["older", "younger"]


async def test_a_step_and_a_start_ask_nothing_of_the_queues(machines: Machines) -> None:
    machine = await machines.start()
    worker = await under_test(machine.backend).worker()
    execution = await stepping(worker, "order-1")
    await execution.step()  # the first look

    before = machine.proxy.asked
    for _ in range(_STEPS):
        assert await execution.step()
    assert machine.proxy.asked - before < 1.5 * _STEPS  # the time is asked for as well, now and then

    before = machine.proxy.asked
    for number in range(_STEPS):
        await worker.begin(f"another-{number}")
    assert machine.proxy.asked - before < 2.5 * _STEPS  # one asks whether the id is free


async def test_a_claim_goes_before_what_would_stand_in_line_behind_its_tasks(machines: Machines) -> None:
    """Else all that a busy worker does would come by claims from the first time on that its slots run out."""
    store = under_test((await machines.start()).backend)
    worker = await store.worker()
    older, younger = await worker.begin("older"), await worker.begin("younger")
    await worker.checkpoint(older.task, activities=(builders.activity(1),))  # offered to nobody

    _, written, claimed = await asyncio.gather(
        store.create("first"),  # may be handed over at once; the others go together, then
        worker.checkpoint(younger.task, activities=(builders.activity(1),), offer=worker.offer()),
        worker.claim_activities(1),
    )

    assert [task.instance_id for task in claimed] == ["older"]
    assert [task.instance_id for task in written.activities] == ["younger"]
