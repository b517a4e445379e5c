import numpy as np

from perdure import Context, workflow


@workflow
async def sample(ctx: Context) -> float:
    return float(np.random.rand())  # expect: PRD102
