"""Wrong calls. Both checkers must find an error on each line marked so, and on no other. Nothing here is run."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

from perdure import (
    App,
    Channel,
    Client,
    Context,
    ContextVarPropagator,
    Future,
    Handle,
    Orchestrator,
    Signal,
    SyncClient,
    SyncHandle,
    activity,
    on_send,
    workflow,
)
from tests.typing.samples import (
    Approval,
    Order,
    Payments,
    Receipt,
    approval,
    charge,
    checkout,
    count,
    either,
    payments,
    plain,
    plain_async,
    plain_workflow,
    price,
    ship,
    wake,
)


async def activities(ctx: Context) -> None:
    await ctx.execute_activity(charge, "7", "100")  # error: argument type
    await ctx.execute_activity(charge, "7")  # error: missing argument
    await ctx.execute_activity(charge, "7", 100, "EUR")  # error: extra argument
    await ctx.execute_activity(charge, "7", 100, queue="eu")  # error: unknown keyword
    await ctx.execute_activity(price, "100")  # error: argument type
    await ctx.execute_activity(price)  # error: missing argument
    await ctx.execute_activity(plain_async, 3)  # error: argument type
    await ctx.execute_activity(plain, "a", 2, 3)  # error: extra argument
    await ctx.execute_activity(Payments.charge, "7", "100")  # error: argument type
    await ctx.execute_activity(Payments.charge, payments, "7", 100)  # error: extra argument
    await ctx.execute_activity(Payments.charge)  # error: missing argument
    await ctx.execute_activity(Payments.price, "100")  # error: argument type
    await ctx.execute_activity(payments.charge, 7, 100)  # error: argument type
    await ctx.execute_activity(payments.undecorated, "100")  # error: argument type
    await ctx.execute_activity(charge.with_options(queue="eu"), "7", "100")  # error: argument type
    await ctx.execute_activity("charge", "7", 100)  # error: not a function


async def results(ctx: Context) -> None:
    number: int = await ctx.execute_activity(charge, "7", 100)  # error: result type
    text: str = await ctx.execute_activity(price, 100)  # error: result type
    amount: int = await ctx.execute_activity(Payments.charge, "7", 100)  # error: result type
    length: str = await ctx.execute_activity(plain_async, "a")  # error: result type
    gathered: tuple[int, int] = await asyncio.gather(  # error: result type
        ctx.execute_activity(charge, "7", 1),
        ctx.execute_activity(price, 1),
    )
    future: Future[int] = ctx.execute_activity(charge, "7", 100)  # error: result type
    task: asyncio.Task[int] = asyncio.create_task(ctx.execute_activity(charge, "7", 100))  # error: result type
    print(number, text, amount, length, gathered, future, task)


async def sub_workflows(ctx: Context) -> None:
    await ctx.execute_sub_workflow(ship, 3)  # error: argument type
    await ctx.execute_sub_workflow(ship)  # error: missing argument
    await ctx.execute_sub_workflow(ship, ctx, "a")  # error: extra argument
    await ctx.execute_sub_workflow(count, 3, start="a")  # error: argument type
    await ctx.execute_sub_workflow(plain_workflow, 3)  # error: argument type
    await ctx.execute_sub_workflow(charge, "7", 100)  # error: an activity
    receipt: str = await ctx.execute_sub_workflow(checkout, Order("7", 1))  # error: result type
    print(receipt)
    await checkout(ctx, "7")  # error: argument type


def continues_with_a_wrong_argument(ctx: Context) -> None:
    ctx.continue_as_new(count, "3")  # error: argument type


def continues_without_an_argument(ctx: Context) -> None:
    ctx.continue_as_new(count)  # error: missing argument


async def signals(ctx: Context) -> None:
    await ctx.signal_workflow("7", approval, "me")  # error: signal value
    await ctx.signal_workflow("7", approval)  # error: missing value
    await ctx.signal_workflow("7", wake, 3)  # error: signal value
    await ctx.execute_sub_workflow(ship, "a").signal(approval, 3)  # error: signal value
    await ctx.execute_sub_workflow(ship, "a").signal(approval)  # error: missing value
    approval("me")  # error: signal value
    decision: str = await ctx.signal_channel(approval).receive()  # error: result type
    print(decision)


async def channels(ctx: Context) -> None:
    channel: Channel[int] = Channel(3)
    await channel.send("a")  # error: argument type
    on_send(channel, "a")  # error: argument type


async def side_effects(ctx: Context) -> None:
    await ctx.side_effect(plain, 3)  # error: argument type
    number: Future[int] = ctx.side_effect(plain, "a")  # error: result type
    print(number)


async def activities_by_themselves(client: Client) -> None:
    await client.start_activity(charge, 7, 100)  # error: argument type
    await client.run_activity(charge, "7")  # error: missing argument


async def clients(client: Client) -> None:
    await client.start(checkout, "7")  # error: argument type
    await client.start(checkout)  # error: missing argument
    await client.start(checkout, Order("7", 1), 3)  # error: extra argument
    await client.start(checkout, Order("7", 1), instance_id="7")  # error: unknown keyword
    await client.start(checkout.with_options(instance_id="7"), "7")  # error: argument type
    await client.start(checkout.with_options(instance_id=7), Order("7", 1))  # error: option type
    await client.start(charge, "7", 100)  # error: an activity
    await client.start(plain, "a")  # error: not a workflow
    text: str = await client.run(count, 3)  # error: result type
    await client.run(count, "3")  # error: argument type
    handle: Handle[str] = await client.start(checkout, Order("7", 1))  # error: result type
    other: Handle[str] = client.handle("7", workflow=checkout)  # error: result type
    result: str = await client.result("7", workflow=count)  # error: result type
    await client.signal("7", approval, "me")  # error: signal value
    await client.signal("7", approval)  # error: missing value
    await client.signal("7", wake, 3)  # error: signal value
    await client.signal("7", either, 3.5)  # error: signal value
    published: str = await client.read("7", "progress", int)  # error: result type
    await client.using(object()).start(checkout, "7")  # error: argument type
    await client.using(object()).signal("7", approval, "me")  # error: signal value
    await client.using(object()).run(checkout, Order("7", 1))  # error: no such method
    checkout.with_options(start_signal=approval(3))  # error: signal value
    checkout.with_options(start_signal=approval)  # error: a signal without its value
    print(text, handle, other, result, published)


async def handles(handle: Handle[Receipt]) -> None:
    await handle.signal(approval, 3)  # error: signal value
    await handle.signal(approval)  # error: missing value
    number: int = await handle.result()  # error: result type
    print(number)


class Counter:
    def value(self, *, doubled: bool = False) -> int:
        return 2 if doubled else 1

    async def add(self, number: int, /) -> str:
        return str(number)

    def check_text(self, text: str, /) -> None: ...


async def asking(ctx: Context, handle: Handle[Receipt]) -> None:
    text: str = await handle.query(Counter.value)  # error: result type
    await handle.query(Counter.value, doubled="yes")  # error: argument type
    await handle.query(Counter.value, 3)  # error: extra argument
    await handle.query(3)  # error: not a query
    number: int = await handle.update(Counter.add, 3)  # error: result type
    await handle.update(Counter.add, "3")  # error: argument type
    await handle.update(Counter.add)  # error: missing argument
    ctx.on_update(Counter().add, validator=Counter().check_text)  # error: it validates something else
    print(text, number)


async def orchestrators(perdure: Orchestrator) -> None:
    await perdure.run(checkout, "7")  # error: argument type
    text: str = await perdure.run(checkout, Order("7", 1))  # error: result type
    print(text)


def synchronous(client: SyncClient, handle: SyncHandle[Receipt]) -> None:
    client.start(checkout, "7")  # error: argument type
    client.run(count)  # error: missing argument
    text: str = client.run(count, 3)  # error: result type
    client.signal("7", approval, "me")  # error: signal value
    client.using(object()).start(checkout, "7")  # error: argument type
    client.using(object()).run(checkout, Order("7", 1))  # error: no such method
    handle.signal(approval)  # error: missing value
    number: int = handle.result()  # error: result type
    print(text, number)


async def compensations(ctx: Context) -> None:
    async with ctx.compensations() as undo:
        undo.add(charge, "7", "100")  # error: argument type
        undo.add(charge, "7")  # error: missing argument
        undo.add(Payments.charge, payments, "7", 100)  # error: extra argument
        undo.add(plain_async, 3)  # error: argument type
        undo.add(ship, 3)  # error: argument type
        undo.add_callback(plain, 3)  # error: argument type


number: ContextVar[int] = ContextVar("number")
ContextVarPropagator(number)  # error: the type is missing
ContextVarPropagator(number, str)  # error: another type
App(propagators=[number])  # error: not a propagator


@workflow  # error: the context is missing
async def without_context(order: Order) -> None: ...


@workflow  # error: not async
def not_async(ctx: Context) -> None: ...


@activity(retries=3)  # error: unknown option
async def wrong_option() -> None: ...


App(workflows=[3])  # error: not a workflow
Signal(7, Approval)  # error: a name is a str
