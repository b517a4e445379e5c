import os
import time

from perdure import Context, workflow


@workflow
async def excused(ctx: Context) -> str:
    stamp = time.time()  # noqa: PRD101
    name = os.environ["NAME"]  # noqa
    both = f"{time.time()}{os.getpid()}"  # NOQA: PRD101,PRD105
    text = str(
        time.time(),  # noqa: PRD101
    )
    return f"{stamp}{name}{both}{text}"
