from perdure import Context, workflow

from .times import stamp


@workflow
async def order(ctx: Context) -> str:
    return stamp()
