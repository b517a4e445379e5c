import asyncio
import time

from perdure import App, Context, Orchestrator, workflow


@workflow
async def order(ctx: Context) -> str:
    return "done"


async def main() -> None:
    before = time.time()
    async with Orchestrator("memory://", App(workflows=[order])) as perdure:
        print(await perdure.run(order), time.time() - before)


asyncio.run(main())
