from perdure import Context, workflow

from . import random


@workflow
async def draw(ctx: Context, names: list[str]) -> str:
    return random.choice(names)
