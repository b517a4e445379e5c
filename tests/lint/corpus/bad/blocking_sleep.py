from time import sleep

from perdure import Context, workflow


@workflow
async def patience(ctx: Context) -> None:
    sleep(3)  # expect: PRD110
