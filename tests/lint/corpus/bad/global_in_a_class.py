import itertools

from perdure import Context, workflow

numbers = itertools.count()


class Order:
    made = 0
    all_of_them: list[str] = []

    def __init__(self, name: str) -> None:
        Order.made += 1  # expect: PRD401
        type(self).all_of_them.append(name)  # expect: PRD401

    @classmethod
    def reset(cls) -> None:
        cls.made = 0  # expect: PRD401


@workflow
async def ordering(ctx: Context, name: str) -> int:
    Order(name)
    Order.reset()
    return next(numbers)  # expect: PRD401
