from random import Random

from perdure import Context, workflow


@workflow
async def dice(ctx: Context) -> int:
    generator = Random()  # expect: PRD102
    return generator.randint(1, 6)
