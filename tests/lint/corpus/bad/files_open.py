from perdure import Context, workflow


@workflow
async def report(ctx: Context, path: str) -> str:
    with open(path) as file:  # expect: PRD106
        return file.read()
