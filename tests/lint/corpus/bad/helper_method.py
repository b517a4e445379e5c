import os

from perdure import Context, workflow


class Base:
    def folder(self) -> str:
        return os.getcwd()  # expect: PRD105


class State(Base):
    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    async def settle(self) -> None:
        await self.ctx.sleep(1)
        self.where = self.folder()

    def status(self) -> int:
        return os.getpid()  # expect: PRD105


@workflow
async def order(ctx: Context) -> None:
    state = State(ctx)
    ctx.on_query(state.status)
    await state.settle()
