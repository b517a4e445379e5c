import asyncio
import os
import subprocess
from subprocess import run

from perdure import Context, workflow


@workflow
async def build(ctx: Context) -> int:
    run(["make"])  # expect: PRD108
    subprocess.Popen("make")  # expect: PRD108
    await asyncio.create_subprocess_exec("make")  # expect: PRD108
    return os.system("make")  # expect: PRD108
