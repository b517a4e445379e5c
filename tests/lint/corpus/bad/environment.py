import os
import platform
import sys
from os import environ

from perdure import Context, workflow


@workflow
async def configured(ctx: Context) -> str:
    region = os.environ["REGION"]  # expect: PRD105
    stage = environ.get("STAGE", "test")  # expect: PRD105
    who = os.getenv("USER")  # expect: PRD105
    return f"{region} {stage} {who} {platform.node()} {sys.argv}"  # expect: PRD105 PRD105
