from perdure import Context, workflow


@workflow
async def chatty(ctx: Context) -> None:
    print("here I am")  # expect: PRD111
