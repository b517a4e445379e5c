"""Right calls, as users write them, and the types that both checkers must know. Nothing here is run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn, assert_type

from perdure import (
    App,
    Channel,
    Client,
    Context,
    ContextVarPropagator,
    Future,
    Handle,
    Instance,
    Orchestrator,
    Propagator,
    RetryPolicy,
    Selected,
    Signal,
    State,
    SubWorkflowFuture,
    SyncClient,
    SyncHandle,
    SyncOrchestrator,
    Worker,
    activity,
    activity_context,
    on_receive,
    on_result,
    on_send,
    otherwise,
    select,
    workflow,
)


@dataclass(frozen=True)
class Approval:
    by: str


@dataclass(frozen=True)
class Order:
    id: str
    cents: int


@dataclass(frozen=True)
class Receipt:
    order_id: str
    payment: str


approval = Signal("approval", Approval)
amounts = Signal("amounts", list[int])
wake = Signal("wake")
either: Signal[int | str] = Signal("either", int | str)

assert_type(approval, Signal[Approval])
assert_type(amounts, Signal[list[int]])
assert_type(wake, Signal[None])
assert_type(Signal("nothing", None), Signal[None])


@activity
async def charge(order_id: str, cents: int, *, currency: str = "EUR") -> str:
    return f"{order_id}:{cents}{currency}"


@activity(retry=RetryPolicy(max_attempts=5), timeout=timedelta(seconds=30), queue="eu")
async def reserve(order_id: str) -> list[str]:
    return [order_id]


@activity
def price(cents: int, rate: float = 1.0) -> float:
    return cents * rate


@activity(name="shout", timeout=3)
def shout(text: str) -> str:
    return text.upper()


async def plain_async(text: str) -> int:
    return len(text)


def plain(text: str, times: int = 1) -> str:
    return text * times


class Payments:
    def __init__(self, key: str) -> None:
        self.key = key

    @activity
    async def charge(self, order_id: str, cents: int) -> str:
        return f"{self.key}{order_id}{cents}"

    @activity(timeout=10)
    def price(self, cents: int) -> float:
        return cents / 100

    async def undecorated(self, cents: int) -> bytes:
        return bytes(cents)


payments = Payments("key")


async def functions_and_methods(ctx: Context) -> None:
    assert_type(ctx.execute_activity(charge, "7", 100), Future[str])
    assert_type(await ctx.execute_activity(charge, "7", cents=100, currency="SEK"), str)
    assert_type(await ctx.execute_activity(reserve, "7"), list[str])
    assert_type(await ctx.execute_activity(price, 100), float)
    assert_type(await ctx.execute_activity(shout, text="a"), str)
    assert_type(await ctx.execute_activity(plain_async, "a"), int)
    assert_type(await ctx.execute_activity(plain, "a", times=2), str)
    assert_type(await ctx.execute_activity(Payments.charge, "7", 100), str)
    assert_type(await ctx.execute_activity(Payments.price, 100), float)
    assert_type(await ctx.execute_activity(payments.charge, "7", 100), str)
    assert_type(await ctx.execute_activity(payments.price, cents=100), float)
    assert_type(await ctx.execute_activity(payments.undecorated, 100), bytes)


async def calls_without_a_workflow() -> None:
    assert_type(await charge("7", 100), str)
    assert_type(price(100), float)
    assert_type(await payments.charge("7", 100), str)
    assert_type(payments.price(100), float)


async def options(ctx: Context) -> None:
    assert_type(await ctx.execute_activity(charge.with_options(queue="eu", priority=3), "7", 100), str)
    assert_type(await ctx.execute_activity(price.with_options(timeout=timedelta(minutes=1)), 100), float)
    assert_type(await ctx.execute_activity(Payments.charge.with_options(queue="eu"), "7", 100), str)
    assert_type(await ctx.execute_activity(payments.charge.with_options(cancellation="request"), "7", 100), str)
    assert_type(await ctx.execute_sub_workflow(ship.with_options(parent_close="abandon"), "a"), None)


@workflow
async def ship(ctx: Context, item: str) -> None:
    await ctx.sleep(timedelta(seconds=1))


@workflow(name="counting", timeout=timedelta(days=1))
async def count(ctx: Context, upto: int, *, start: int = 0) -> int:
    if start < upto:
        ctx.continue_as_new(count, upto, start=start + 1)
    return start


async def plain_workflow(ctx: Context, text: str) -> str:
    return text


@workflow
async def checkout(ctx: Context, order: Order) -> Receipt:
    payment = await ctx.execute_activity(charge, order.id, order.cents)
    assert_type(payment, str)
    async with ctx.timeout(timedelta(days=3)):
        decision = await ctx.signal_channel(approval).receive()
    assert_type(decision, Approval)
    async with asyncio.TaskGroup() as group:
        shipped = group.create_task(ctx.execute_sub_workflow(ship, order.id))
    assert_type(shipped, asyncio.Task[None])
    return Receipt(order.id, payment)


async def sub_workflows(ctx: Context) -> None:
    child = ctx.execute_sub_workflow(count, 3, start=1)
    assert_type(child, SubWorkflowFuture[int])
    assert_type(child.instance_id, str)
    assert_type(child.signal(approval, Approval("me")), Future[None])
    assert_type(child.signal(wake), Future[None])
    assert_type(await child, int)
    assert_type(await ctx.execute_sub_workflow(plain_workflow, "a"), str)
    assert_type(await ctx.execute_sub_workflow(checkout, Order("7", 1)), Receipt)
    assert_type(await checkout(ctx, Order("7", 1)), Receipt)


async def futures_in_asyncio(ctx: Context) -> None:
    text = ctx.execute_activity(charge, "7", 100)
    number = ctx.execute_activity(price, 100)
    assert_type(await asyncio.gather(text, number), tuple[str, float])
    assert_type(await asyncio.wait_for(text, 3), str)
    assert_type(await asyncio.shield(text), str)
    done, _ = await asyncio.wait([text, ctx.execute_activity(shout, "a")], return_when=asyncio.FIRST_COMPLETED)
    assert_type(done.pop().result(), str)
    for each in asyncio.as_completed([text]):
        assert_type(await each, str)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ctx.execute_activity(charge, "7", 100))
        timer = group.create_task(ctx.schedule_timer(3))
    assert_type(task.result(), str)
    assert_type(timer.result(), None)
    assert_type(asyncio.create_task(ctx.execute_activity(price, 100)), asyncio.Task[float])
    async with asyncio.timeout(3):
        assert_type(await text, str)
    assert_type(text.result(), str)
    assert_type(text.done(), bool)
    assert_type(text.cancel(), bool)


def takes_a_coroutine(
    coroutine: Coroutine[Any, Any, str], awaitable: Awaitable[str], call: Callable[[], Any]
) -> None: ...


async def futures_are_coroutines_to_checkers(ctx: Context) -> None:
    takes_a_coroutine(ctx.execute_activity(charge, "7", 1), ctx.execute_activity(charge, "7", 1), lambda: None)


async def context(ctx: Context) -> None:
    assert_type(ctx.side_effect(plain, "a", times=2), Future[str])
    assert_type(await ctx.side_effect(lambda: 3), int)
    assert_type(ctx.random.random(), float)
    assert_type(ctx.patched("a"), bool)
    assert_type(ctx.info.instance_id, str)
    assert_type(await ctx.wait_until(lambda: True, timeout=timedelta(days=1)), None)
    assert_type(ctx.signal_workflow("7", approval, Approval("me")), Future[None])
    assert_type(ctx.signal_workflow("7", wake), Future[None])
    child, cancel = ctx.with_cancel()
    assert_type(child, Context)
    assert_type(cancel(), None)
    async with ctx.disconnected() as cleanup:
        assert_type(await cleanup.execute_activity(shout, "a"), str)


def continues(ctx: Context) -> NoReturn:
    ctx.continue_as_new(checkout, Order("7", 1))


async def signals(ctx: Context) -> None:
    channel = ctx.signal_channel(approval)
    assert_type(await channel.receive(), Approval)
    assert_type(channel.receive_nowait(), Approval)
    async for decision in channel:
        assert_type(decision, Approval)
    assert_type(await ctx.signal_channel(either).receive(), int | str)
    assert_type(await ctx.signal_channel(wake).receive(), None)


async def channels_and_select(ctx: Context) -> None:
    channel: Channel[int] = Channel(3)
    await channel.send(3)
    assert_type(await channel.receive(), int)
    chosen = await select(
        on_result(ctx.execute_activity(charge, "7", 100), str.upper),
        on_receive(channel, lambda number: number + 1),
        on_receive(ctx.signal_channel(approval), lambda decision: decision.by),
        on_send(channel, 3),
        otherwise(),
    )
    match chosen:
        case Selected(index=0, value=value):
            print(value)
        case _:
            pass


app = App(
    workflows=[checkout, ship, count, plain_workflow],
    activities=[charge, reserve, price, shout, plain_async, plain, payments, payments.undecorated],
    version="1",
)


class Counter:
    def value(self, *, doubled: bool = False) -> int:
        return 2 if doubled else 1

    async def add(self, number: int, /) -> str:
        return str(number)

    def reset(self) -> None: ...

    def check_add(self, number: int, /) -> None: ...


@workflow
async def counting(ctx: Context) -> None:
    counter = Counter()
    ctx.on_query(counter.value)
    ctx.on_update(counter.add, validator=counter.check_add)
    ctx.on_update(counter.reset, name="clear")

    @ctx.on_query
    def greeting(name: str) -> str:
        return f"hello, {name}"

    assert_type(greeting("you"), str)
    assert_type(ctx.open_updates, int)


async def asking(handle: Handle[None]) -> None:
    assert_type(await handle.query(Counter.value), int)
    assert_type(await handle.query(Counter.value, doubled=True), int)
    assert_type(await handle.query("greeting", "you"), Any)
    assert_type(await handle.update(Counter.add, 3), str)
    assert_type(await handle.update(Counter.reset), None)
    assert_type(await handle.update("clear"), Any)
    assert_type(await handle.with_options(idempotency_key="1", timeout=3).update(Counter.add, 3), str)


async def clients(client: Client) -> None:
    handle = await client.start(checkout, Order("7", 1))
    assert_type(handle, Handle[Receipt])
    assert_type(handle.instance_id, str)
    assert_type(await handle.result(timeout=timedelta(seconds=3)), Receipt)
    assert_type(await client.run(count, 3, start=1), int)
    assert_type(await client.run(ship, "a"), None)
    assert_type(await client.start(plain_workflow, text="a"), Handle[str])
    assert_type(
        await client.start(
            checkout.with_options(instance_id="7", start_signal=approval(Approval("me"))), Order("7", 1)
        ),
        Handle[Receipt],
    )
    inside = client.using(object())
    assert_type(await inside.start(checkout.with_options(instance_id="7"), Order("7", 1)), Handle[Receipt])
    assert_type(await inside.start(plain_workflow, text="a"), Handle[str])
    await inside.signal("7", approval, Approval("me"), idempotency_key="once")
    await inside.signal("7", wake)
    assert_type(client.handle("7", workflow=checkout), Handle[Receipt])
    assert_type(client.handle("7"), Handle[Any])
    await client.signal("7", approval, Approval("me"), idempotency_key="once")
    await client.signal("7", wake)
    await client.signal("7", wake, None)
    await client.signal("7", either, 3)
    assert_type(await client.state("7"), State)
    assert_type(await client.result("7", workflow=count), int)
    assert_type(await client.read("7", "progress", float), float)
    async for instance in client.list(states=[State.RUNNING], workflow=checkout, tags={"team": "a"}):
        assert_type(instance, Instance)
    assert_type(await client.count(), dict[State, int])


async def handles(handle: Handle[Receipt]) -> None:
    await handle.signal(approval, Approval("me"))
    await handle.signal(wake)
    assert_type(await handle.state(), State)
    assert_type(await handle.info(), Instance)
    assert_type(await handle.read("progress", list[int]), list[int])
    await handle.cancel(reason="no longer wanted")
    await handle.terminate("wrong")
    either_kind: Handle[Receipt | None] = handle  # covariant
    assert_type(either_kind.instance_id, str)


async def orchestrator() -> None:
    async with Orchestrator("sqlite:///orders.db", app) as perdure:
        assert_type(await perdure.run(checkout, Order("7", 1)), Receipt)
        assert_type(await perdure.start(count, 3), Handle[int])
    async with Client("sqlite:///orders.db") as client, Worker("sqlite:///orders.db", app) as worker:
        assert_type(client, Client)
        await worker.run_forever()


async def activities_by_themselves(client: Client, blocking: SyncClient) -> None:
    assert_type(await client.start_activity(charge, "7", 100), Handle[str])
    assert_type(await client.run_activity(reserve, "7"), list[str])
    assert_type(await client.run_activity(price.with_options(start_delay=3, tags={"a": "b"}), 100), float)
    assert_type(await client.run_activity(Payments.charge, "7", 100), str)
    assert_type(await client.run_activity(payments.undecorated, 100), bytes)
    assert_type(await client.run_activity(plain_async, "a"), int)
    assert_type(await client.run_activity(plain, "a", times=2), str)
    assert_type(client.handle("7", charge), Handle[str])
    assert_type(client.handle("7", price), Handle[float])
    assert_type(await client.using(object()).start_activity(charge, "7", 100), Handle[str])
    assert_type(blocking.start_activity(price, 100), SyncHandle[float])
    assert_type(blocking.run_activity(charge, "7", 100), str)


@activity
async def left_to_others(text: str) -> int:
    activity_context().complete_later()


def synchronous(client: SyncClient, handle: SyncHandle[Receipt]) -> None:
    assert_type(client.start(checkout, Order("7", 1)), SyncHandle[Receipt])
    assert_type(client.start(plain_workflow, text="a"), SyncHandle[str])
    assert_type(client.run(count, 3, start=1), int)
    assert_type(client.handle("7", workflow=checkout), SyncHandle[Receipt])
    assert_type(client.handle("7"), SyncHandle[Any])
    assert_type(client.result("7", workflow=count), int)
    assert_type(client.read("7", "progress", float), float)
    client.signal("7", approval, Approval("me"), idempotency_key="once")
    assert_type(client.using(object()).start(checkout, Order("7", 1)), SyncHandle[Receipt])
    for instance in client.list(states=[State.RUNNING], workflow=checkout):
        assert_type(instance, Instance)
    assert_type(client.count(queue="eu"), dict[State, int])
    assert_type(handle.result(timeout=timedelta(seconds=3)), Receipt)
    assert_type(handle.read("progress", list[int], None), list[int] | None)
    handle.signal(wake)
    with SyncOrchestrator("sqlite:///orders.db", app, max_activities=3) as perdure:
        assert_type(perdure.run(checkout, Order("7", 1)), Receipt)


async def compensations(ctx: Context) -> None:
    async with ctx.compensations() as undo:
        undo.add(charge, "7", 100, currency="SEK")
        undo.add(price.with_options(queue="eu"), 100)
        undo.add(Payments.charge, "7", 100)
        undo.add(payments.price, cents=100)
        undo.add(plain_async, "a")
        undo.add(ship.with_options(instance_id="7"), "a")
        undo.add_callback(plain_async, "a")
        undo.add_callback(plain, "a", times=2)
        undo.add_callback(lambda: ctx.execute_activity(charge, "7", 100))
        assert_type(await undo.compensate(), None)


tenant: ContextVar[str] = ContextVar("tenant")
customer: ContextVar[str | None] = ContextVar("customer", default=None)
order: ContextVar[Order] = ContextVar("order")
last_order: ContextVar[Order | None] = ContextVar("last_order", default=None)
propagators: list[Propagator] = [
    ContextVarPropagator(tenant),
    ContextVarPropagator(customer, name="x-customer"),
    ContextVarPropagator(order, Order),
    ContextVarPropagator(last_order, Order),
]
with_propagators = App(workflows=[checkout], propagators=propagators)
