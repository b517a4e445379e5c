from perdure import Context, workflow

runs = 0


@workflow
async def counted(ctx: Context) -> int:
    global runs
    runs += 1  # expect: PRD401
    return runs
