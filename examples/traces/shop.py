"""What the workers run: an order, which is shipped by a sub-workflow on another queue."""

from datetime import timedelta

from perdure import App, Context, RetryPolicy, Signal, activity, activity_context, workflow
from perdure.otel import OpenTelemetry, get_tracer

tracer = get_tracer("shop")  # for workflows, activities and all other code
paid = Signal("paid", int)


@activity(retry=RetryPolicy(initial_interval=timedelta(milliseconds=10)))
async def reserve(item: str) -> None:
    if activity_context().attempt == 1:
        raise ConnectionError("the stock doesn't answer")


@activity
def pack(item: str) -> str:
    with tracer.start_as_current_span("find a box"):
        return f"{item} in a box"


@workflow
async def ship(ctx: Context, item: str) -> str:
    return await ctx.execute_activity(pack, item)


@workflow
async def order(ctx: Context, item: str) -> str:
    cents = await ctx.signal_channel(paid).receive()
    with tracer.start_as_current_span("get it ready"):  # exported once, however often this is replayed
        await ctx.execute_activity(reserve, item)
        await ctx.sleep(timedelta(milliseconds=50))
    parcel = await ctx.execute_sub_workflow(ship.with_options(queue="warehouse"), item)
    return f"{parcel} for {cents}"


app = App(workflows=[order, ship], activities=[reserve, pack], telemetry=OpenTelemetry())
