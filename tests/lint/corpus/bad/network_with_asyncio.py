import asyncio

from perdure import Context, workflow


@workflow
async def connect(ctx: Context) -> None:
    reader, writer = await asyncio.open_connection("localhost", 80)  # expect: PRD107
