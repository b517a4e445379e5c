"""Another program keeps rows locked in an open transaction: that is its instances' affair, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from perdure.backends.connect import connect
from perdure.backends.protocol import Backend
from perdure.errors import StoreError, StoreUnavailable
from perdure.model.event import SignalReceived
from perdure.model.transition import Appended, Created
from perdure.testing.conformance import builders
from tests.network.machines import under_test
from tests.network.stranger import keep, stranger


@pytest.fixture
async def store(locking_store_url: str) -> AsyncIterator[Backend]:
    backend = connect(locking_store_url)
    await backend.open()
    for number in range(50):
        await backend.commit(builders.create(f"order-{number}"))
    yield backend
    await backend.close()


async def test_the_rest_of_the_batch_goes_on(store: Backend, locking_store_url: str) -> None:
    async with stranger(locking_store_url) as execute:
        await execute(keep("order-7"))
        held = asyncio.ensure_future(store.commit(builders.append_signal("order-7")))
        others = [builders.append_signal(f"order-{number}") for number in range(50) if number != 7]

        outcomes = await asyncio.gather(*map(store.commit, others))

        assert {type(outcome) for outcome in outcomes} == {Appended}
        assert not held.done()
        with pytest.raises(StoreUnavailable, match="another program keeps rows of this instance locked") as caught:
            await held
        assert caught.value.is_unwritten
    assert await store.commit(builders.append_signal("order-7")) == Appended()


async def test_who_waits_goes_on_when_the_lock_is_gone_and_in_order(store: Backend, locking_store_url: str) -> None:
    async with stranger(locking_store_url) as execute:
        await execute(keep("order-7"))
        waiting = []
        for number in range(20):
            signal = builders.append_signal("order-7", f"signal-{number}")
            waiting.append(asyncio.ensure_future(store.commit(signal)))
            await store.commit(builders.append_signal("order-8"))  # which takes a batch

    assert {type(outcome) for outcome in await asyncio.gather(*waiting)} == {Appended}
    assert await signals_of(store, "order-7") == [f"signal-{number}" for number in range(20)]


async def test_an_id_that_a_stranger_is_taking_harms_no_other_creation(store: Backend, locking_store_url: str) -> None:
    async with stranger(locking_store_url) as execute:
        await execute("delete from perdure_instances where instance_id = 'order-3'")
        await execute("update perdure_instances set instance_id = 'new-7' where instance_id = 'order-4'")
        creations = [store.commit(builders.create(f"new-{number}")) for number in range(100)]

        outcomes = await asyncio.gather(*creations, return_exceptions=True)

    held = outcomes.pop(7)
    assert isinstance(held, StoreUnavailable)
    assert {type(outcome) for outcome in outcomes} == {Created}


async def test_claims_pass_over_what_is_locked(store: Backend, locking_store_url: str) -> None:
    worker = await under_test(store).worker()
    async with stranger(locking_store_url) as execute:
        await execute(keep("order-7"))

        tasks = await worker.claim_workflow_tasks(100)

        assert len(tasks) == 49
    assert [task.instance_id for task in await worker.claim_workflow_tasks(100)] == ["order-7"]


async def test_poison_of_each_kind_harms_itself_alone(store: Backend, locking_store_url: str) -> None:
    large = SignalReceived(at=0, name="approval", payload=b"x" * 20_000_000)
    async with stranger(locking_store_url) as execute:
        await execute(keep("order-7"))
        outcomes = await asyncio.gather(
            *(store.commit(builders.append_signal(f"order-{number}")) for number in range(10, 20)),
            store.commit(builders.create("order-\0")),
            store.commit(builders.append_signal("order-20", event=large)),
            store.commit(builders.append_signal("order-7")),
            *(store.commit(builders.create(f"new-{number}")) for number in range(10)),
            return_exceptions=True,
        )
    assert [type(outcome) for outcome in outcomes[:10]] == [Appended] * 10
    takes_nul = not locking_store_url.startswith("postgresql")
    assert isinstance(outcomes[10], Created if takes_nul else StoreError)
    assert isinstance(outcomes[11], Appended | StoreError)  # MariaDB takes packets up to 16 MB by default
    assert isinstance(outcomes[12], StoreUnavailable)
    assert [type(outcome) for outcome in outcomes[13:]] == [Created] * 10


async def signals_of(store: Backend, instance_id: str) -> list[str]:
    worker = await under_test(store).worker()
    tasks = {task.instance_id: task for task in await worker.claim_workflow_tasks(100)}
    return [each.event.name for each in tasks[instance_id].pending if isinstance(each.event, SignalReceived)]
