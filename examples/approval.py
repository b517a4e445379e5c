"""A person decides, or nobody does in time.

python -m examples.approval
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from perdure import App, Context, Orchestrator, Signal, activity, workflow


@dataclass
class Decision:
    by: str
    is_granted: bool


decision = Signal("decision", Decision)


@activity(idempotent=True)  # to be asked twice, after a crash, is no harm
async def ask(manager: str, expense: str) -> None:
    print(f"To {manager}: is {expense!r} all right?")


@workflow
async def approve(ctx: Context, expense: str, patience: timedelta) -> str:
    for manager in ["the team lead", "the director"]:
        await ctx.execute_activity(ask, manager, expense)
        try:
            async with ctx.timeout(patience):
                answer = await ctx.signal_channel(decision).receive()
        except TimeoutError:
            continue  # the next one up
        return f"{'granted' if answer.is_granted else 'refused'} by {answer.by}"
    return "nobody answered"


app = App(workflows=[approve], activities=[ask])


async def main() -> None:
    async with Orchestrator("memory://", app) as perdure:
        handle = await perdure.start(approve, "a chair", timedelta(days=3))
        await handle.signal(decision, Decision("Ada", is_granted=True))
        print("Chair:", await handle.result())

        print("Yacht:", await perdure.run(approve, "a yacht", timedelta(milliseconds=20)))


if __name__ == "__main__":
    asyncio.run(main())
