import uuid

import perdure


async def reserve(ctx: perdure.Context) -> str:
    return str(uuid.uuid4())  # expect: PRD103
