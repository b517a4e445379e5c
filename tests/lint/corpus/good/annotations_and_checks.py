import random
import threading
from pathlib import Path

from perdure import Context, workflow


@workflow
async def typed(ctx: Context, dice: random.Random, where: Path) -> bool:
    lock: threading.Thread | None = None
    if isinstance(dice, random.Random) and isinstance(lock, threading.Thread):
        raise TimeoutError
    return dice.random() < 0.5
