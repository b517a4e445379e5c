"""What a worker commits while it is marked dead, or while the store is sealed, doesn't slip in behind those who did that."""

from __future__ import annotations

import asyncio

import pytest

from perdure.backends.connect import connect
from perdure.backends.protocol import Backend
from perdure.errors import StoreSealed
from perdure.model.transition import Created
from perdure.testing.conformance import builders
from tests.network.machines import under_test
from tests.network.stranger import keep, stranger


async def test_a_lease_that_slipped_in_is_ended_by_a_later_round(locking_store_url: str) -> None:
    backend = connect(locking_store_url)
    await backend.open()
    store = under_test(backend)
    worker = await store.worker(lease=0.2)
    await store.create("order-1")
    await worker.run(activities=(builders.activity(),))
    await store.create("order-2")
    await asyncio.sleep(0.3)
    assert (await backend.housekeep()).workers_lost == 1

    # As if its claim had begun before, and ended now.
    async with stranger(locking_store_url) as execute:
        await execute(f"update perdure_instances set worker = {worker.key}, token = 7, claimed = 1, phase = 0")
        await execute(f"update perdure_activities set worker = {worker.key}, token = 7, phase = 0")
        await execute("commit")
    other = await store.worker("other")
    found = await other.claim()

    assert len(found.workflow_tasks) == 1  # the start of a worker does the housekeeping
    assert len(found.activity_tasks) == 1
    assert (await backend.housekeep()).activities_lost == 0
    await backend.close()


async def test_nothing_slips_in_behind_the_seal(server_store_url: str) -> None:
    """Once the seal is told, what the store has is all that it will ever have."""
    source = [connect(server_store_url, timeout_seconds=20 + number) for number in range(3)]
    for backend in source:
        await backend.open()
    created: list[str] = []

    async def keep_creating(number: int) -> None:
        for turn in range(10_000):
            instance_id = f"order-{number}-{turn}"
            try:
                outcome = await source[number % 2].commit(builders.create(instance_id))
            except StoreSealed:
                return
            assert isinstance(outcome, Created)
            created.append(instance_id)

    writers = [asyncio.create_task(keep_creating(number)) for number in range(20)]
    await asyncio.sleep(0.3)
    await source[2].seal("elsewhere")
    found = await ids_in(source[2])
    await asyncio.gather(*writers)

    assert found == set(created)
    with pytest.raises(StoreSealed):
        await source[0].put_blob(1, b"blob", b"data")
    for backend in source:
        await backend.close()


async def seal_and_copy(backend: Backend) -> set[str]:
    await backend.seal("elsewhere")
    return await ids_in(backend)


async def ids_in(backend: Backend) -> set[str]:
    return {each.instance_id async for each in backend.export_instances()}


async def test_a_write_that_has_begun_before_the_seal_doesnt_end_behind_it(locking_store_url: str) -> None:
    writer, sealer = (connect(locking_store_url, timeout_seconds=20 + number) for number in range(2))
    await writer.open()
    await sealer.open()
    await writer.commit(builders.create("order-1"))

    async with stranger(locking_store_url) as execute:
        await execute(keep("order-1"))
        together = (builders.append_signal("order-1"), builders.create("late"))
        under_way = asyncio.gather(*map(writer.commit, together), return_exceptions=True)
        await asyncio.sleep(0.05)  # it waits for the row now, and has looked for a seal
        copying = asyncio.create_task(seal_and_copy(sealer))
        await asyncio.wait([copying], timeout=0.1)  # the seal waits for it, and it for the stranger
    await under_way

    assert await copying == await ids_in(sealer)
    await writer.close()
    await sealer.close()
