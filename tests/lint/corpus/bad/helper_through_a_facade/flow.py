import perdure as p

from . import compat, parts


@p.workflow(name="order")
async def order(ctx: p.Context) -> str:
    return parts.current_time() + str(compat.throw(1, 6))  # expect: PRD102
