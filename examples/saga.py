"""A saga: each step says what takes it back, and that happens if a later one fails.

python -m examples.saga
"""

import asyncio

from perdure import App, Context, Orchestrator, PermanentError, WorkflowFailed, activity, workflow


class SoldOut(PermanentError):
    """No retry brings another room."""


@activity
async def book_flight(city: str) -> str:
    print("booked: flight to", city)
    return f"flight to {city}"


@activity
async def book_hotel(city: str) -> str:
    if city == "Lisbon":
        raise SoldOut(f"no room in {city}")
    print("booked: hotel in", city)
    return f"hotel in {city}"


@activity
async def give_back(booking: str) -> None:
    print("given back:", booking)


@workflow
async def trip(ctx: Context, cities: list[str]) -> None:
    async with ctx.compensations() as undo:
        for city in cities:
            for book in (book_flight, book_hotel):
                undo.add(give_back, await ctx.execute_activity(book, city))


app = App(workflows=[trip], activities=[book_flight, book_hotel, give_back])


async def main() -> None:
    async with Orchestrator("memory://", app) as perdure:
        try:
            await perdure.run(trip, ["Porto", "Lisbon"])
        except WorkflowFailed as failed:
            print("no trip:", failed.__cause__)


if __name__ == "__main__":
    asyncio.run(main())
