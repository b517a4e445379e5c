from perdure import Context, workflow


@workflow
async def missing(ctx: Context, wanted: dict[str, int], there: list[str]) -> str:
    left = {name.lower() for name in wanted} - set(there)
    both = wanted.keys() & there
    await ctx.sleep(1)
    return ",".join(left) + ",".join(both)  # expect: PRD201 PRD201
