from perdure import Context, activity, workflow


@activity
async def visit(town: str) -> None: ...


@workflow
async def tour(ctx: Context, towns: set[str], others: frozenset[str] | None = None) -> list[str]:
    route = list(towns)  # expect: PRD201
    first = next(iter(towns))  # expect: PRD201
    more = [town for town in others or frozenset()]  # expect: PRD201
    return [first, *route, *more]
