"""Cancelling a workflow: what runs is finished, what comes next is skipped, and what was done is undone.

python -m examples.cancellation
"""

import asyncio

from perdure import App, Context, Orchestrator, WorkflowCancelled, activity, workflow

flight_is_under_way = asyncio.Event()


@activity
async def book_flight(city: str) -> str:
    flight_is_under_way.set()
    await asyncio.sleep(0.1)  # the cancel comes now: the booking isn't torn down half-way
    return f"flight to {city}"


@activity
async def book_hotel(city: str) -> str:
    return f"hotel in {city}"


@activity
async def undo(booking: str) -> None:
    print("undone:", booking)


@workflow
async def trip(ctx: Context, city: str) -> list[str]:
    bookings: list[str] = []
    try:
        bookings.append(await ctx.execute_activity(book_flight, city))  # gives its result in spite of the cancel
        bookings.append(await ctx.execute_activity(book_hotel, city))  # raises CancelledError: it is never started
    except asyncio.CancelledError:
        async with ctx.disconnected() as cleanup:  # no cancel reaches in here
            for booking in reversed(bookings):
                await cleanup.execute_activity(undo, booking)
        raise  # without it the workflow would count as completed
    return bookings


app = App(workflows=[trip], activities=[book_flight, book_hotel, undo])


async def main() -> None:
    flight_is_under_way.clear()
    async with Orchestrator("memory://", app) as perdure:
        handle = await perdure.start(trip, "Lisbon")
        await flight_is_under_way.wait()
        await handle.cancel(reason="the conference was called off")
        try:
            await handle.result()
        except WorkflowCancelled as end:
            print(end)


if __name__ == "__main__":
    asyncio.run(main())
