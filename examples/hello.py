"""A workflow and an activity: the least that does something.

python -m examples.hello
"""

import asyncio

from perdure import App, Context, Orchestrator, activity, workflow


@activity
async def greet(name: str) -> str:
    """An activity may do anything; its result is recorded, so a crash won't make it greet again."""
    return f"Hello, {name}!"


@workflow
async def hello(ctx: Context, names: list[str]) -> list[str]:
    """A workflow is ordinary code. Kill the process between two greetings: it goes on with the second."""
    return [await ctx.execute_activity(greet, name) for name in names]


app = App(workflows=[hello], activities=[greet])


async def main() -> None:
    # "sqlite:///hello.db" in place of "memory://" is all that makes it outlive the process.
    async with Orchestrator("memory://", app) as perdure:
        for line in await perdure.run(hello, ["Ada", "Grace"]):
            print(line)


if __name__ == "__main__":
    asyncio.run(main())
