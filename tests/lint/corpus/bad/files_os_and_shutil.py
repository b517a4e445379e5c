import glob
import os
import shutil
import tempfile
from os.path import exists

from perdure import Context, workflow


@workflow
async def tidy(ctx: Context, folder: str) -> list[str]:
    if exists(folder):  # expect: PRD106
        shutil.rmtree(folder)  # expect: PRD106
    os.makedirs(folder)  # expect: PRD106
    tempfile.mkdtemp()  # expect: PRD106
    return os.listdir(folder) + glob.glob("*.txt")  # expect: PRD106 PRD106
