import sqlite3

import asyncpg

from perdure import Context, workflow


@workflow
async def look_up(ctx: Context, number: int) -> object:
    with sqlite3.connect("orders.db") as database:  # expect: PRD107
        database.execute("select 1")
    return await asyncpg.connect("postgresql://localhost")  # expect: PRD107
