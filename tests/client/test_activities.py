"""Activities that a client runs by themselves: tasks of a task queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from datetime import timedelta

import pytest

from perdure.activities.context import activity_context
from perdure.activities.definition import activity
from perdure.app import App
from perdure.client.client import Client
from perdure.errors import (
    ArgumentsError,
    InstanceAlreadyExists,
    InvalidName,
    RegistrationError,
    WorkflowCancelled,
    WorkflowFailed,
)
from perdure.model.instance import State
from perdure.model.retry import NO_RETRY, RetryPolicy
from perdure.orchestrator import Orchestrator
from perdure.propagation import ContextVarPropagator
from perdure.worker.worker import Worker
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.client.shop import Order, PaymentDeclined, Receipt

QUICKLY = RetryPolicy(initial_interval=timedelta(0))
tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
begun = asyncio.Event()


@activity
async def charge(order: Order, attempts: int = 1) -> Receipt:
    if activity_context().attempt < attempts:
        raise ConnectionError("the bank is away")
    return Receipt(f"{order.id} of {tenant.get()}")


@activity(retry=NO_RETRY)
def decline(order: Order) -> Receipt:
    raise PaymentDeclined("no money")


@activity
async def wait_for_ever() -> None:
    begun.set()
    await asyncio.Event().wait()


async def undecorated(number: int) -> int:
    return number + 1


@activity
async def increment(number: int) -> int:
    return number + 1


class Stock:
    @activity
    def reserve(self, item: str) -> str:
        return f"{item} by {activity_context().workflow}"


@activity
async def unknown() -> None: ...


@workflow
async def misplaced(ctx: Context) -> None:
    await ctx.execute_activity(charge.with_options(instance_id="7", tags={"a": "b"}), Order("7", 1))


PROPAGATORS = [ContextVarPropagator(tenant)]
app = App(activities=[charge, decline, wait_for_ever, undecorated, increment, Stock()], propagators=PROPAGATORS)
ORDER = Order("7", 100)


@pytest.fixture
async def client(store_url: str) -> AsyncIterator[Client]:
    begun.clear()
    async with Orchestrator(store_url, app) as client:
        yield client


async def test_an_activity_runs_by_itself_and_its_result_is_typed(client: Client) -> None:
    assert await client.run_activity(charge, ORDER) == Receipt("7 of nobody")
    assert await client.run_activity(undecorated, 1) == 2
    assert await client.run_activity(Stock.reserve, "cup") == "cup by perdure:activity"


async def test_its_handle_can_be_made_from_its_id(client: Client) -> None:
    started = await client.start_activity(charge.with_options(instance_id="charge-7"), ORDER)

    assert started.instance_id == "charge-7"
    assert await client.handle("charge-7", charge).result(timeout=30) == Receipt("7 of nobody")
    assert await client.result("charge-7") == {"order_id": "7 of nobody"}


async def test_it_is_listed_by_its_name_and_tags(client: Client) -> None:
    await (await client.start_activity(charge.with_options(tags={"tenant": "acme"}), ORDER)).wait()
    await (await client.start_activity(undecorated, 1)).wait()

    [found] = [each async for each in client.list(workflow="perdure:activity", tags={"activity": "charge"})]
    assert (found.tags["tenant"], found.state, found.queue) == ("acme", State.COMPLETED, "default")


async def test_a2_it_is_tried_again(client: Client) -> None:
    assert await client.run_activity(charge.with_options(retry=QUICKLY), ORDER, attempts=3) == Receipt("7 of nobody")


async def test_its_failure_is_the_cause_of_what_its_result_raises(client: Client) -> None:
    with pytest.raises(WorkflowFailed, match=r"activity decline '.*' failed: PaymentDeclined: no money") as raised:
        await client.run_activity(decline, ORDER)
    assert isinstance(raised.value.__cause__, PaymentDeclined)


async def test_w7_cancelling_it_cancels_what_runs(client: Client) -> None:
    task = await client.start_activity(wait_for_ever)
    await begun.wait()
    await task.cancel()

    with pytest.raises(WorkflowCancelled):
        await task.result(timeout=30)


async def test_cancelled_before_its_delay_is_over_it_never_begins(client: Client) -> None:
    task = await client.start_activity(wait_for_ever.with_options(start_delay=timedelta(hours=1)))
    await task.cancel()

    assert await task.wait(timeout=30) is State.CANCELLED
    assert not begun.is_set()


async def test_c2_an_idempotency_key_makes_a_repeated_start_the_same_one(client: Client) -> None:
    once = charge.with_options(idempotency_key="order-7")
    first = await client.start_activity(once, ORDER)
    again = await client.start_activity(once.with_options(retry=NO_RETRY), ORDER)
    other = await client.start_activity(increment.with_options(idempotency_key="order-7"), 1)

    assert first.instance_id == again.instance_id != other.instance_id
    with pytest.raises(InstanceAlreadyExists, match="other arguments"):
        await client.start_activity(once, Order("8", 1))


async def test_c2_a_taken_id_is_refused_or_used(client: Client) -> None:
    named = charge.with_options(instance_id="charge-7")
    await client.run_activity(named, ORDER)

    with pytest.raises(InstanceAlreadyExists):
        await client.start_activity(named, ORDER)
    assert await client.run_activity(named.with_options(if_exists="use"), ORDER) == Receipt("7 of nobody")


async def test_what_propagators_carry_reaches_it(client: Client) -> None:
    token = tenant.set("acme")
    try:
        assert await client.run_activity(charge, ORDER) == Receipt("7 of acme")
    finally:
        tenant.reset(token)


async def test_a4_wrong_arguments_are_refused_and_nothing_is_recorded(client: Client) -> None:
    with pytest.raises(ArgumentsError):
        await client.start_activity(charge, 7)  # type: ignore[call-overload]
    with pytest.raises(InvalidName, match="an instance id"):
        await client.start_activity(charge.with_options(instance_id="x" * 300), ORDER)
    with pytest.raises(RegistrationError, match="add it to App"):
        await client.start_activity(unknown)
    assert await client.count() == {}


async def test_k1_it_is_taken_from_its_own_queue(store_url: str) -> None:
    async with (
        Orchestrator(store_url, app) as client,
        Worker(store_url if "memory" not in store_url else client.backend, app, queues=["eu"]),
    ):
        task = await client.start_activity(charge.with_options(queue="eu"), ORDER)
        assert await task.result(timeout=30) == Receipt("7 of nobody")


async def test_in_a_workflow_options_of_a_start_are_refused(store_url: str) -> None:
    async with Orchestrator(store_url, App(workflows=[misplaced], activities=[charge])) as client:
        with pytest.raises(WorkflowFailed, match="instance_id, tags: these are for"):
            await client.run(misplaced)


async def test_a_client_without_the_app_starts_them_too(client: Client) -> None:
    async with Client(client.backend) as stranger:
        assert await stranger.run_activity(charge, ORDER) == Receipt("7 of nobody")
