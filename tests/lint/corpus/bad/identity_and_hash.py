from perdure import Context, workflow


@workflow
async def key(ctx: Context, name: str) -> str:
    bucket = hash(name) % 16  # expect: PRD112
    return f"{bucket}-{id(name)}"  # expect: PRD112
