"""Sub-workflows: instances of their own, with their own histories, whose results their parent awaits.

python -m examples.sub_workflows
"""

import asyncio

from perdure import App, Context, Orchestrator, PermanentError, Signal, activity, workflow

go = Signal("go")


class Burnt(PermanentError):
    """Baking it again doesn't help."""


@activity
async def bake(what: str) -> str:
    if what == "cake":
        raise Burnt("it is black")
    return f"a {what}"


@workflow
async def breakfast(ctx: Context, dishes: list[str]) -> list[str]:
    """As many cooks as dishes; each can be waited for, signalled and cancelled by itself."""
    cooks = [ctx.execute_sub_workflow(cook, dish) for dish in dishes]
    for one in cooks:
        await one.signal(go)
    return await asyncio.gather(*cooks)


@workflow
async def cook(ctx: Context, dish: str) -> str:
    await ctx.signal_channel(go).receive()
    return await ctx.execute_activity(bake, dish)


@workflow
async def party(ctx: Context) -> str:
    """What a sub-workflow raises is raised where its parent awaits it."""
    baker = ctx.execute_sub_workflow(cook.with_options(instance_id="the-cake"), "cake")
    await baker.signal(go)
    try:
        return await baker
    except Burnt as problem:
        return f"no cake: {problem}"


app = App(workflows=[breakfast, cook, party], activities=[bake])


async def main() -> None:
    async with Orchestrator("memory://", app) as perdure:
        print(await perdure.run(breakfast, ["roll", "pancake"]))
        print(await perdure.run(party))
        print("the-cake", await perdure.state("the-cake"))  # an instance like any other


if __name__ == "__main__":
    asyncio.run(main())
