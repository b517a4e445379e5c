"""Several machines write to one store: nobody waits for another's word, and nobody acts on what another has changed."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import Future

import pytest

from perdure.backends.admission import Bucket
from perdure.backends.network.backend import NetworkBackend
from perdure.backends.network.link import Conflict
from perdure.backends.rules.claiming import claim_tasks
from perdure.backends.unit.chore import Chore
from perdure.backends.unit.unit import Unit
from perdure.errors import StoreUnavailable
from perdure.model.inspection import SettingKind
from perdure.model.instance import State
from perdure.model.transition import (
    Administered,
    Appended,
    Claimed,
    ClaimTasks,
    Created,
    Existing,
    Heartbeat,
    NotAppended,
    Recorded,
    Rejected,
    Remove,
    Terminate,
    Transition,
)
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import names_of
from tests.network.machines import Machine, Machines, under_test


async def test_machines_that_open_an_empty_store_at_once_make_one_schema(machines: Machines) -> None:
    each = [await machines.make() for _ in range(6)]

    await asyncio.gather(*(machine.backend.open() for machine in each))

    for number, machine in enumerate(each):
        assert isinstance(await machine.backend.commit(builders.create(f"order-{number}")), Created)
    assert await each[0].backend.count_instances() == {State.RUNNING: 6}


async def test_of_two_hundred_creations_of_one_id_one_wins(machines: Machines) -> None:
    pair = [await machines.start(), await machines.start()]

    outcomes = await asyncio.gather(
        *(pair[number % 2].backend.commit(builders.create("the-one")) for number in range(200))
    )

    assert Counter(type(outcome) for outcome in outcomes) == {Created: 1, Existing: 199}
    assert await pair[0].backend.count_instances() == {State.RUNNING: 1}


async def test_signals_of_two_machines_to_the_same_instances_all_arrive_in_order(machines: Machines) -> None:
    pair = [await machines.start(), await machines.start()]
    store = under_test(pair[0].backend)
    for instance in range(5):
        await store.create(f"order-{instance}")

    async def send(machine: int, instance: int) -> None:
        for number in range(40):
            signal = builders.append_signal(f"order-{instance}", f"{machine} {number}")
            assert await persist(pair[machine], signal) == Appended()

    async with asyncio.timeout(30):
        await asyncio.gather(*(send(machine, instance) for machine in range(2) for instance in range(5)))

    tasks = await (await store.worker()).claim_workflow_tasks()
    assert len(tasks) == 5
    for task in tasks:
        names = [name for name in names_of(task) if name != "ExecutionStarted"]
        for machine in range(2):
            of_machine = [name for name in names if name.startswith(f"{machine} ")]
            assert of_machine == [f"{machine} {number}" for number in range(40)]
        assert [pending.id for pending in task.pending] == list(range(81))


async def persist(machine: Machine, signal: Transition[object]) -> object:
    while True:
        try:
            return await machine.backend.commit(signal)
        except StoreUnavailable:
            await asyncio.sleep(0.01)


async def test_nobody_is_refused_for_what_was_so_yesterday(machines: Machines) -> None:
    """What a machine keeps of its workers' rows may be old, and a refusal that it leads to is looked into first."""
    here, there = await machines.start(), await machines.start()
    store = under_test(here.backend)
    worker = await store.worker()
    await store.create("order-1")
    task = await worker.run(activities=(builders.activity(),))
    attempt = await worker.claim_activity()

    # Elsewhere the cancellation is asked for, the instance's id is freed, and used again.
    elsewhere = under_test(there.backend)
    await elsewhere.cancel("order-1")
    assert (await worker.claim_workflow_task()).position == task.position + 1
    await terminate(there, "order-1")
    assert await here.backend.commit(builders.append_signal("order-1")) == NotAppended(State.TERMINATED)
    await remove(there, "order-1")
    assert await here.backend.commit(builders.append_signal("order-1")) == NotAppended(None)
    await elsewhere.create("order-1")
    assert await here.backend.commit(builders.append_signal("order-1")) == Appended()
    assert isinstance(await worker.complete(attempt), Rejected)


async def test_a_heartbeat_is_held_though_the_row_was_cached_by_another(machines: Machines) -> None:
    here, there = await machines.start(), await machines.start()
    store = under_test(here.backend)
    await store.create("order-1")
    first, second = await store.worker("first"), await under_test(there.backend).worker("second")
    await first.run(activities=(builders.activity(),))
    attempt = await first.claim_activity()
    assert await first.heartbeat(attempt) == Heartbeat(is_held=True)
    await first.stop()

    again = await second.claim_activity()

    assert (await second.heartbeat(again)).is_held
    assert not (await first.heartbeat(attempt)).is_held
    assert isinstance(await second.complete(again), Recorded)


async def test_an_id_that_has_become_free_elsewhere_can_be_taken(machines: Machines) -> None:
    here, there = await machines.start(), await machines.start()
    store = under_test(here.backend)
    worker = await store.worker()
    for turn in range(5):
        assert isinstance(await here.backend.commit(builders.create("order-1")), Created), turn
        await worker.run(builders.marked())  # so that its row stays in memory here
        assert isinstance(await here.backend.commit(builders.create("order-1")), Existing)
        await terminate(there, "order-1")
        await remove(there, "order-1")


async def terminate(machine: Machine, instance_id: str) -> None:

    assert isinstance(await machine.backend.commit(Terminate(instance_id=instance_id, reason="")), Administered)


async def remove(machine: Machine, instance_id: str) -> None:

    assert isinstance(await machine.backend.commit(Remove(instance_id=instance_id)), Administered)


async def test_a_claim_that_a_conflict_cuts_short_says_that_there_is_more(machines: Machines) -> None:
    """Else its worker would wait for a hint, with its hands free."""
    backend = (await machines.start()).backend
    assert isinstance(backend, NetworkBackend)
    store = under_test(backend)
    worker = await store.worker()
    for number in range(8):
        await store.create(f"order-{number}")
    claim = ClaimTasks(
        worker_key=worker.key,
        workflow_queues=worker.start.workflow_queues,
        workflow_slots=8,
        workflow_names=worker.start.workflow_names,
        activity_queues=(),
        activity_slots=0,
        activity_names=frozenset(),
    )

    def claim_at_second_attempt(unit: Unit) -> Claimed:
        if not unit.conflicts:
            raise Conflict("somebody was faster")
        return claim_tasks(unit, claim)

    claimed = await backend._at_desk.submit(Chore(claim_at_second_attempt))

    assert [task.instance_id for task in claimed.workflow_tasks] == ["order-0", "order-1"]
    assert claimed.next_due_at <= claimed.now
    assert len(await worker.claim_workflow_tasks()) == 6


async def test_who_is_too_late_again_and_again_is_soon_tried_alone(machines: Machines) -> None:
    backend = (await machines.start()).backend
    assert isinstance(backend, NetworkBackend)
    tried: Counter[str] = Counter()

    def is_in_time(_: Unit) -> None:
        tried["in time"] += 1

    def is_too_late(_: Unit) -> None:
        tried["too late"] += 1
        if tried["too late"] < 8:
            raise Conflict("somebody was faster")

    answers = [backend._at_desk.submit(Chore(change)) for change in (is_in_time, is_too_late)]
    for answer in answers:
        await answer

    assert tried == {"in time": 3, "too late": 8}


async def test_who_was_too_late_for_a_limited_queue_keeps_others_from_its_permits(locking_machines: Machines) -> None:
    """Else a claim, of several round trips, would always lose against what comes back with commits, of one."""
    pair = [await locking_machines.start(), await locking_machines.start()]
    here, there = (machine.backend for machine in pair)
    assert isinstance(here, NetworkBackend)
    assert isinstance(there, NetworkBackend)
    await here.put_setting(SettingKind.QUEUE, "default", b'{"per_second": 10}')
    loop = asyncio.get_running_loop()
    rivals: list[Future[None]] = []

    async def take_elsewhere() -> None:
        await there._at_desk.submit(Chore(take_permits))

    def take_beside_a_rival(unit: Unit) -> int:
        take_permits(unit)
        rival = asyncio.run_coroutine_threadsafe(take_elsewhere(), loop)
        if unit.conflicts == 3:
            with pytest.raises(TimeoutError):
                rival.result(0.3)
            rivals.append(rival)
        else:
            rival.result(10)
        return unit.conflicts

    assert await here._at_desk.submit(Chore(take_beside_a_rival)) == 3

    await asyncio.wrap_future(*rivals)


def take_permits(unit: Unit) -> None:
    unit.put_bucket("default", unit.bucket("default") or Bucket(10.0, unit.now))


async def test_who_is_too_late_all_the_time_waits_and_holds_up_nobody(machines: Machines) -> None:
    backend = (await machines.start()).backend
    assert isinstance(backend, NetworkBackend)
    done: list[str] = []

    def is_too_late(_: Unit) -> None:
        if not done:
            raise Conflict("somebody was faster")
        done.append("late")

    late = backend._at_desk.submit(Chore(is_too_late))
    await backend._at_desk.submit(Chore(lambda _: None))  # when it has been tried
    await backend._at_desk.submit(Chore(lambda _: done.append("other")))
    await late

    assert done == ["other", "late"]


async def test_who_was_too_late_for_long_is_told_that_nothing_was_written(machines: Machines) -> None:
    backend = (await machines.start()).backend
    assert isinstance(backend, NetworkBackend)

    def is_too_late(_: Unit) -> None:
        raise Conflict("somebody was faster")

    with pytest.raises(StoreUnavailable, match="others were faster") as caught:
        await backend._at_desk.submit(Chore(is_too_late))

    assert caught.value.is_unwritten
