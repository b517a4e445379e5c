"""Activities that share something: a connection pool, a client, a setting. They are methods of an object.

python -m examples.activity_objects
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing

from perdure import App, Context, Orchestrator, activity, workflow


class Stock:
    """One object per worker process; its methods are the activities."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    @activity
    async def put(self, item: str, count: int) -> None:
        self._database.execute("insert into stock values (?, ?)", (item, count))

    @activity
    async def count(self, item: str) -> int:
        found: tuple[int] = self._database.execute("select sum(count) from stock where item = ?", (item,)).fetchone()
        return found[0]


@workflow
async def restock(ctx: Context, item: str) -> int:
    # A workflow names the method on the class: it never sees the object, which may live on another machine.
    await ctx.execute_activity(Stock.put, item, 12)
    await ctx.execute_activity(Stock.put, item, 30)
    return await ctx.execute_activity(Stock.count, item)


@asynccontextmanager
async def lifespan() -> AsyncGenerator[Stock]:
    """Entered when a worker starts, on its running loop; left when it stops."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("create table stock (item text, count integer)")
        print("opened")
        yield Stock(database)
    print("closed")


# An object that needs no running loop can be passed directly: App(workflows=[restock], activities=[Stock(database)]).
app = App(workflows=[restock], lifespan=lifespan)


async def main() -> None:
    async with Orchestrator("memory://", app) as perdure:
        print("in stock:", await perdure.run(restock, "tea"))


if __name__ == "__main__":
    asyncio.run(main())
