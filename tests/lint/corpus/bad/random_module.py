import random
from random import choice as pick

from perdure import Context, workflow


@workflow
async def draw(ctx: Context, names: list[str]) -> str:
    random.shuffle(names)  # expect: PRD102
    if random.random() < 0.5:  # expect: PRD102
        return names[0]
    return pick(names)  # expect: PRD102
