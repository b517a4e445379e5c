import asyncio

from perdure import Context, workflow


@workflow
async def scoped(ctx: Context) -> int:
    class State:
        seen = 0
        names: list[str] = []

    async def see() -> None:
        State.seen += 1
        State.names.append("x")

    await asyncio.gather(see(), see())
    return State.seen
