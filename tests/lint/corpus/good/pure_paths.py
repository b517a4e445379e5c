import os.path
from pathlib import Path, PurePosixPath

from perdure import Context, workflow


@workflow
async def name(ctx: Context, folder: Path) -> str:
    target = folder / "orders" / "7.json"
    joined = os.path.join(str(target.parent), os.path.basename(target.name))
    return f"{joined} {target.with_suffix('.txt').as_posix()} {PurePosixPath('/a').name}"
