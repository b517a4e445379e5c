from perdure import Context, workflow

from . import settings
from .settings import LEVELS


@workflow
async def setting(ctx: Context) -> None:
    settings.DEBUG = True  # expect: PRD401
    LEVELS.update(a=1)  # expect: PRD401
