import random
import uuid

from perdure import Context, workflow


@workflow
async def draw(ctx: Context, names: list[str]) -> str:
    ctx.random.shuffle(names)
    seeded = random.Random(42)
    stable = uuid.uuid5(uuid.NAMESPACE_URL, names[0])
    return f"{ctx.uuid4()} {stable} {uuid.UUID(int=7)} {seeded.random()} {ctx.random.choice(names)}"
