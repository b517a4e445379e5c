from perdure import Context, workflow


@workflow
async def stamp(ctx: Context) -> float:
    from time import time as now

    import os.path

    return now() + os.path.getmtime("orders.db")  # expect: PRD101 PRD106
