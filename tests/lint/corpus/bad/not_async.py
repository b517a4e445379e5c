from perdure import Context, workflow


@workflow
def plain(ctx: Context) -> str:  # expect: PRD403
    return "done"


@workflow(name="yielding")
async def yielding(ctx: Context):  # expect: PRD403
    yield 1
