"""A worker that dies right after its charge, before anybody has noted it: `python -m tests.guide.bank URL`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from perdure import App, Context, Worker, activity, activity_context, workflow


@activity
async def charge(folder: Path) -> None:
    """The bank keeps a file for each key, and so charges once whatever it is asked."""
    (folder / "charges").mkdir(exist_ok=True)
    (folder / "charges" / activity_context().idempotency_key).touch()
    with (folder / "executions").open("a") as executions:
        executions.write(f"{activity_context().attempt}\n")
    if __name__ == "__main__":
        os.kill(os.getpid(), signal.SIGKILL)


@workflow
async def buy(ctx: Context, folder: Path) -> None:
    await ctx.execute_activity(charge, folder)


app = App(workflows=[buy], activities=[charge])


async def main(url: str) -> None:
    await Worker(url, app, lease=2).run_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
