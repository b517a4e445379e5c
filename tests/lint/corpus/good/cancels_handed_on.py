import asyncio
from typing import NoReturn

from perdure import Context, workflow


class Refused(Exception):
    pass


class Group:
    def __init__(self) -> None:
        self.tasks = set()
        self.problem: BaseException | None = None

    def start(self, ctx: Context) -> None:
        self.tasks.add(asyncio.create_task(ctx.sleep(1)))

    def stop(self) -> None:
        for task in self.tasks:
            task.cancel()

    def keep(self, problem: BaseException) -> None:
        self.problem = problem


def refuse(problem: BaseException) -> NoReturn:
    raise Refused from problem


@workflow
async def grouped(ctx: Context) -> str:
    group = Group()
    group.start(ctx)
    group.stop()
    try:
        await ctx.sleep(1)
    except BaseException as problem:
        group.keep(problem)
    if group.problem is not None:
        raise group.problem
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(5, future.cancel)
    try:
        await future
    except asyncio.CancelledError:
        return "in time"
    try:
        await ctx.sleep(1)
    except BaseException:
        refuse(Refused())
    return "late"
