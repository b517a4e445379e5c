from perdure import Context, activity, workflow


@activity
async def visit(town: str) -> None: ...


@workflow
async def tour(ctx: Context, towns: set[str], numbers: set[int]) -> int:
    for town in sorted(towns):
        await ctx.execute_activity(visit, town)
    for number in numbers:
        await ctx.sleep(number)
    total = 0
    for town in towns:
        total += len(town)
    letters = {town[0] for town in towns} | {"x"}
    if "Porto" in towns and any(town.isupper() for town in towns):
        total += len(letters) + max(len(town) for town in towns)
    return total + sum(len(town) for town in towns if sorted(list(towns)))
