from __future__ import annotations

from dataclasses import dataclass

import pytest

from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.errors import InstanceAlreadyExists
from perdure.model.event import SignalReceived
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.client.by_hand import Hand
from tests.client.shop import Approval, Order, approval, ship, wake


@dataclass(frozen=True)
class OrderOfLastYear:
    id: str
    cents: int


@workflow(name="checkout")
async def checkout_of_last_year(ctx: Context, order: OrderOfLastYear) -> None:
    await ctx.signal_channel(approval).receive()


@workflow
async def checkout(ctx: Context, order: Order, *, express: bool = False) -> None:
    await ctx.signal_channel(approval).receive()


async def start_last_year(backend: MemoryBackend) -> None:
    async with Client(backend, App(workflows=[checkout_of_last_year])) as client:
        await client.start(checkout_of_last_year.with_options(instance_id="one"), OrderOfLastYear("7", 100))


async def test_c2_an_input_that_grew_by_a_default_is_the_same_input(backend: MemoryBackend) -> None:
    await start_last_year(backend)

    async with Client(backend, App(workflows=[checkout])) as client:
        handle = await client.start(checkout.with_options(instance_id="one", if_exists="use"), Order("7", 100))

        assert handle.instance_id == "one"


async def test_c2_and_its_start_signals_arrive_once(backend: MemoryBackend) -> None:
    await start_last_year(backend)
    options = checkout.with_options(instance_id="one", if_exists="use", idempotency_key="request-1")
    options = options.with_options(start_signal=wake(None)).with_options(start_signal=approval(Approval("me")))

    async with Client(backend, App(workflows=[checkout])) as client:
        await client.start(options, Order("7", 100))
        await client.start(options, Order("7", 100))

    events = [pending.event for pending in (await Hand(backend, "checkout").claim()).pending]
    assert [event.name for event in events if isinstance(event, SignalReceived)] == ["wake", "approval"]


async def test_c2_a_new_field_with_another_value_is_another_input(backend: MemoryBackend) -> None:
    await start_last_year(backend)

    async with Client(backend, App(workflows=[checkout])) as client:
        with pytest.raises(InstanceAlreadyExists, match="with other arguments"):
            await client.start(checkout.with_options(instance_id="one", if_exists="use"), Order("7", 100, note="new"))


async def test_c2_the_input_is_that_of_the_start_also_after_continue_as_new(client: Client, hand: Hand) -> None:
    options = ship.with_options(instance_id="one", if_exists="use")
    await client.start(options, "a")
    await hand.continue_as_new("ship", b'["b"]')

    handle = await client.start(options, "a")

    assert (await handle.info()).execution_number == 2
    with pytest.raises(InstanceAlreadyExists):
        await client.start(options, "b")
