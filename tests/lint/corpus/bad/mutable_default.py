from perdure import Context, workflow


@workflow
async def collect(ctx: Context, items: list[str] = []) -> list[str]:  # expect: PRD402
    return add(items, "end")


def add(items: list[str], item: str, *, seen: dict[str, int] = dict()) -> list[str]:  # expect: PRD402
    seen[item] = 1
    return [*items, item]
