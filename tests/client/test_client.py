from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.errors import ConfigurationError, InstanceNotFound
from perdure.model.instance import State
from tests.client.by_hand import Hand
from tests.client.shop import Order, anything, app, checkout, ship


async def start_three(client: Client, hand: Hand) -> None:
    """A completed one, a terminated one and one that runs."""
    await client.start(ship.with_options(instance_id="a-1", tags={"team": "red"}), "x")
    await hand.end(result=b"1")
    await client.start(ship.with_options(instance_id="a-2", tags={"team": "blue"}), "x")
    await client.terminate("a-2")
    await client.start(checkout.with_options(instance_id="b-1", queue="eu"), Order("7", 1))


async def test_a_client_that_isnt_open_says_so(backend: MemoryBackend) -> None:
    client = Client(backend, app)

    with pytest.raises(ConfigurationError, match="async with Client"):
        await client.start(ship, "a")


async def test_a_closed_client_says_so(backend: MemoryBackend) -> None:
    async with Client(backend, app) as client:
        pass

    with pytest.raises(ConfigurationError, match="async with Client"):
        await client.state("a")


async def test_b10_a_store_is_named_by_its_url() -> None:
    async with Client("memory://of-the-client-test") as one, Client("memory://of-the-client-test", app) as other:
        await one.start(ship.with_options(instance_id="a"), "x")

        assert await other.state("a") is State.RUNNING


async def test_b10_a_backend_that_was_passed_isnt_closed() -> None:
    class Counting(MemoryBackend):
        closed = 0

        async def close(self) -> None:
            self.closed += 1

    backend = Counting()
    async with Client(backend):
        pass

    assert backend.closed == 0


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["b-1", "a-2", "a-1"]),
        ({"states": [State.RUNNING]}, ["b-1"]),
        ({"states": "terminated"}, ["a-2"]),
        ({"states": ["completed", State.TERMINATED]}, ["a-2", "a-1"]),
        ({"workflow": ship}, ["a-2", "a-1"]),
        ({"workflow": "checkout"}, ["b-1"]),
        ({"workflow": anything}, []),
        ({"queue": "eu"}, ["b-1"]),
        ({"id_prefix": "a-"}, ["a-2", "a-1"]),
        ({"id_contains": "1"}, ["b-1", "a-1"]),
        ({"tags": {"team": "red"}}, ["a-1"]),
        ({"created_from": datetime(2100, 1, 1, tzinfo=UTC)}, []),
        ({"created_to": datetime(2100, 1, 1, tzinfo=UTC), "workflow": ship}, ["a-2", "a-1"]),
        ({"updated_to": datetime(2100, 1, 1, tzinfo=UTC), "states": ["running"]}, ["b-1"]),
        ({"updated_to": datetime(2000, 1, 1, tzinfo=UTC)}, []),
        ({"suspended": True}, []),
        ({"stuck": False}, ["b-1", "a-2", "a-1"]),
    ],
)
async def test_c1_list_takes_filters_as_keywords(
    client: Client, hand: Hand, filters: dict[str, Any], expected: list[str]
) -> None:
    await start_three(client, hand)

    assert [instance.instance_id async for instance in client.list(**filters)] == expected
    assert sum((await client.count(**filters)).values()) == len(expected)


async def test_c1_list_goes_through_all_pages(client: Client) -> None:
    for number in range(450):
        await client.start(anything, number)

    assert len({instance.instance_id async for instance in client.list()}) == 450


async def test_c1_pages_are_joined_by_cursors(client: Client, hand: Hand) -> None:
    await start_three(client, hand)

    first = await client.page(limit=2)
    second = await client.page(limit=2, cursor=first.cursor)

    assert [instance.instance_id for instance in (*first.items, *second.items)] == ["b-1", "a-2", "a-1"]
    assert second.cursor is None


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"states": ["gone"]}, "states are running, completed"),
        ({"created_from": datetime(2026, 1, 1)}, "created_from: .* no time zone"),
        ({"updated_to": datetime(2026, 1, 1)}, "updated_to: .* no time zone"),
    ],
)
async def test_a_filter_that_cant_be_is_refused(client: Client, filters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        await client.count(**filters)


async def test_c1_stats_tell_states_queues_and_workers(client: Client, hand: Hand) -> None:
    await start_three(client, hand)

    stats = await client.stats()

    assert stats.instances == {State.COMPLETED: 1, State.TERMINATED: 1, State.RUNNING: 1}
    assert [(queue.queue, queue.workflow_tasks) for queue in stats.queues] == [("eu", 1)]
    assert [worker.worker for worker in stats.workers] == ["hand"]


async def test_e4_stats_tell_how_many_cannot_go_on(client: Client, hand: Hand) -> None:
    for name in ("held", "stuck", "runs"):
        await client.start(anything.with_options(instance_id=name), 1)
    await client.suspend("held")
    await hand.mark_stuck()

    stats = await client.stats()

    assert (stats.stuck, stats.suspended) == (1, 1)


async def test_c1_prune_removes_ended_instances_alone(client: Client, hand: Hand) -> None:
    await start_three(client, hand)

    assert await client.prune(states=["completed"]) == 1
    assert await client.prune(ended_to=datetime(2100, 1, 1, tzinfo=UTC)) == 1
    assert await client.prune() == 0
    assert await client.count() == {State.RUNNING: 1}
    with pytest.raises(InstanceNotFound):
        await client.state("a-1")


async def test_prune_can_be_limited(client: Client) -> None:
    for number in range(5):
        await client.start(anything.with_options(instance_id=f"n-{number}"), number)
        await client.terminate(f"n-{number}")

    assert await client.prune(limit=2) == 2
    assert {instance.instance_id async for instance in client.list()} == {"n-2", "n-3", "n-4"}


async def test_prune_goes_on_until_nothing_is_left(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.client.listing._PRUNED_AT_ONCE", 2)
    for number in range(5):
        await client.start(anything.with_options(instance_id=f"n-{number}"), number)
        await client.terminate(f"n-{number}")

    assert await client.prune(ended_to=datetime.now(UTC) + timedelta(days=1)) == 5
