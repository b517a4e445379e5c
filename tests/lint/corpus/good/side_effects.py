import os
import random
import uuid
from pathlib import Path

from perdure import Context, workflow


def host() -> str:
    return os.uname().nodename


@workflow
async def draw(ctx: Context) -> str:
    def name() -> str:
        return os.environ["NAME"]

    number = await ctx.side_effect(random.randint, 1, 6)
    where = await ctx.side_effect(lambda: str(Path.cwd()))
    key = ctx.side_effect(uuid.uuid4)
    return f"{number} {where} {await key} {await ctx.side_effect(host)} {await ctx.side_effect(name)}"
