import functools
import random

from perdure import Context, workflow


def weight(name: str) -> float:
    return random.random()  # expect: PRD102


def scaled(factor: int, name: str) -> float:
    return factor * random.random()  # expect: PRD102


@workflow
async def rank(ctx: Context, names: list[str]) -> list[str]:
    return sorted(names, key=weight) + sorted(names, key=functools.partial(scaled, 2))
