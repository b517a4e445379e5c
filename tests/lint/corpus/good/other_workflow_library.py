import random
import time

from otherflow import workflow


@workflow
async def not_ours(ctx) -> float:
    print(random.random())
    return time.time()
