"""A web process starts workflows, worker processes run them. They share a store, nothing else.

python -m examples.client_and_worker           starts a worker process, then acts as the client
python -m examples.client_and_worker worker    a worker alone, until Ctrl-C or SIGTERM

`perdure worker examples.client_and_worker:app --store sqlite:///shop.db` is the same worker without a line of code.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from perdure import App, Client, Context, Worker, activity, workflow


@activity
async def ship(item: str) -> int:
    return os.getpid()


@workflow
async def order(ctx: Context, items: list[str]) -> list[int]:
    return await asyncio.gather(*(ctx.execute_activity(ship, item) for item in items))


app = App(workflows=[order], activities=[ship])


async def work(store: str) -> None:
    async with Worker(store, app) as worker:
        await worker.run_forever()


async def shop(store: str) -> None:
    async with Client(store) as client:  # no App: a client needs none, and never loads the engine
        pids = await client.run(order, ["tea", "cup"])
    assert os.getpid() not in pids
    print(f"shipped {len(pids)} items in another process")


def main() -> None:
    if sys.argv[1:2] == ["worker"]:
        asyncio.run(work(sys.argv[2] if len(sys.argv) > 2 else "sqlite:///shop.db"))
        return
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder, 'shop.db')}"
        worker = subprocess.Popen([sys.executable, "-m", "examples.client_and_worker", "worker", store])
        try:
            asyncio.run(shop(store))
        finally:
            worker.terminate()  # a graceful stop: running activities are finished first
            worker.wait()


if __name__ == "__main__":
    main()
