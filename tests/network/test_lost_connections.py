"""Connections break, answers get lost, networks swallow everything: what was acknowledged is there, once, and work goes on."""

from __future__ import annotations

import asyncio
import logging

import pytest

from perdure.backends.protocol import Backend
from perdure.errors import StoreUnavailable
from perdure.model.instance import State
from perdure.model.transition import Appended, Created, Recorded, Rejected, Transition
from perdure.testing.conformance import builders
from tests.network.machines import Machine, Machines, under_test
from tests.worker.support import until_async

MARKER = b"found-by-the-proxy"


async def lose_the_answer(machine: Machine, transition: Transition[object], witness: Backend) -> None:
    """Have it, with the marker in it, carried out, which `witness` can see, and its answer lost."""
    before = await rows_of(witness)
    machine.proxy.lose_answer_to(MARKER)
    answer = asyncio.ensure_future(machine.backend.commit(transition))
    await until_async(lambda: _has_changed(witness, before))
    machine.proxy.cut()
    machine.proxy.mend()
    with pytest.raises(StoreUnavailable, match="isn't known") as caught:
        await answer
    assert not caught.value.is_unwritten


async def _has_changed(witness: Backend, before: object) -> bool:
    return await rows_of(witness) != before


async def rows_of(witness: Backend) -> object:
    return (await witness.list_instances()).items


async def persist(backend: Backend, transition: Transition[object]) -> object:
    """As clients and workers do: what couldn't be answered is asked again."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await backend.commit(transition)
            except StoreUnavailable:
                await asyncio.sleep(0.02)


async def test_a_lost_answer_is_no_duplicate(machines: Machines) -> None:
    machine, witness = await machines.start(), (await machines.start()).backend
    creation = builders.create(started=builders.started(arguments=MARKER))
    signal = builders.append_signal(event=builders.signal(payload=MARKER))

    await lose_the_answer(machine, creation, witness)
    assert isinstance(await persist(machine.backend, creation), Created)
    await lose_the_answer(machine, signal, witness)
    assert await persist(machine.backend, signal) == Appended()

    worker = await under_test(machine.backend).worker()
    (task,) = await worker.claim_workflow_tasks()
    assert [type(pending.event).__name__ for pending in task.pending] == ["ExecutionStarted", "SignalReceived"]


async def test_a_lost_answer_of_a_checkpoint_is_told_by_its_repetition(machines: Machines) -> None:
    machine, witness = await machines.start(), (await machines.start()).backend
    await machine.backend.commit(builders.create())
    worker = await under_test(machine.backend).worker()
    completion = builders.completion(await worker.claim_workflow_task(), closing=builders.completed(MARKER))

    await lose_the_answer(machine, completion, witness)

    assert isinstance(await persist(machine.backend, completion), Rejected)
    assert await witness.count_instances() == {State.COMPLETED: 1}


async def test_what_was_under_way_when_the_connection_broke_happens_once(machines: Machines) -> None:
    machine = await machines.start()
    creations = [builders.create(f"order-{number}") for number in range(200)]
    tasks = [asyncio.ensure_future(persist(machine.backend, creation)) for creation in creations]
    for _ in range(10):
        await asyncio.sleep(0.05)
        machine.proxy.cut()

    assert {type(outcome) for outcome in await asyncio.gather(*tasks)} == {Created}
    assert await persisted_count(machine.backend) == {State.RUNNING: 200}


async def persisted_count(backend: Backend) -> dict[State, int]:
    while True:
        try:
            return await backend.count_instances()
        except StoreUnavailable:
            await asyncio.sleep(0.02)


async def test_all_of_a_batch_hear_that_its_connection_broke(machines: Machines) -> None:
    """Also those that are written by themselves, after the others."""
    machine = await machines.start()
    worker = await under_test(machine.backend).worker()
    await asyncio.gather(*(machine.backend.commit(builders.create(f"order-{number}")) for number in range(2)))
    machine.proxy.is_down = True
    machine.proxy.cut()

    outcomes = await asyncio.gather(
        machine.backend.commit(builders.create("new")), worker.claim(), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable, StoreUnavailable]
    assert outcomes[1].is_unwritten  # type: ignore[union-attr]


async def test_of_what_was_never_sent_it_is_known_that_nothing_was_written(machines: Machines) -> None:
    machine, witness = await machines.start(), (await machines.start()).backend
    machine.proxy.is_down = True
    machine.proxy.cut()

    problems = [await problem_of(machine, builders.create(f"order-{number}")) for number in range(5)]

    assert [problem.is_unwritten for problem in problems[1:]] == [True] * 4  # the first one found the connection dead
    assert {"nothing was written" in str(problem) for problem in problems[1:]} == {True}
    assert await witness.count_instances() == {}


async def test_a_claim_that_is_lost_while_it_looks_has_leased_nothing(machines: Machines) -> None:
    machine = await machines.start()
    await machine.backend.commit(builders.create())
    worker = await under_test(machine.backend).worker()
    machine.proxy.is_down = True
    machine.proxy.cut()

    with pytest.raises(StoreUnavailable) as caught:
        await worker.claim()

    assert caught.value.is_unwritten


async def problem_of(machine: Machine, transition: Transition[object]) -> StoreUnavailable:
    with pytest.raises(StoreUnavailable) as caught:
        await machine.backend.commit(transition)
    return caught.value


async def test_a_black_hole_is_given_up_after_the_time_out(machines: Machines) -> None:
    machine = await machines.start(timeout_seconds=0.5)
    machine.proxy.swallow(asks=True, answers=True)

    with pytest.raises(StoreUnavailable):
        await machine.backend.commit(builders.create())
    with pytest.raises(StoreUnavailable):
        await machine.backend.count_instances()

    machine.proxy.cut()
    machine.proxy.mend()
    assert isinstance(await persist(machine.backend, builders.create()), Created)
    assert await persisted_count(machine.backend) == {State.RUNNING: 1}


async def test_a_server_that_is_away_is_asked_now_and_then_and_said_twice(
    machines: Machines, caplog: pytest.LogCaptureFixture
) -> None:
    machine = await machines.start()
    await machine.backend.commit(builders.create())
    machine.proxy.is_down = True
    machine.proxy.cut()
    made, asked = machine.proxy.made, 0
    ends_at = asyncio.get_running_loop().time() + 2.0
    while asyncio.get_running_loop().time() < ends_at:
        with pytest.raises(StoreUnavailable):
            await machine.backend.commit(builders.create(f"order-{asked}"))
        asked += 1

    assert machine.proxy.made - made < 30 < asked  # pauses grow; most of what is asked meanwhile is refused at once
    machine.proxy.mend()
    assert isinstance(await persist(machine.backend, builders.create("afterwards")), Created)
    said = [
        each.message
        for each in caplog.records
        if each.levelno >= logging.WARNING and "be reached" in each.message and "notices" not in each.message
    ]
    assert [("can't be reached" in each, "can be reached again" in each) for each in said] == [
        (True, False),
        (False, True),
    ]


async def test_late_completions_are_rejected_after_a_take_over(machines: Machines) -> None:
    late, other = await machines.start(), await machines.start()
    store = under_test(late.backend)
    await store.create("order-1")
    worker = await store.worker(lease=1.0)
    task = await worker.run(activities=(builders.activity(),))
    attempt = await worker.claim_activity()
    await store.create("order-2")
    second = await worker.claim_workflow_task()
    late.proxy.swallow(asks=True)  # and so its last words are under way for long
    recorded = asyncio.ensure_future(worker.complete(attempt))

    async def is_taken_over() -> bool:
        return (await other.backend.housekeep()).workers_lost == 1

    await until_async(is_taken_over)
    taker = await under_test(other.backend).worker("worker-2")
    (again,) = await taker.claim_activities()
    late.proxy.mend()

    assert isinstance(await recorded, Rejected)
    assert isinstance(await late.backend.commit(builders.completion(second)), Rejected)
    assert isinstance(await worker.try_checkpoint(task, position=1, events=()), Rejected)
    assert isinstance(await taker.complete(again), Recorded)
