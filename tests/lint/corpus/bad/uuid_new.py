import uuid
from uuid import uuid1

from perdure import Context, workflow


@workflow
async def number(ctx: Context) -> str:
    return f"{uuid.uuid4()}-{uuid1()}"  # expect: PRD103 PRD103
