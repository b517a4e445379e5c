"""One trace over three processes: a shop starts an order, one worker runs it, another one ships it.

python -m examples.traces                           runs all three on a SQLite file, and prints the trace as a tree
python -m examples.traces worker STORE QUEUE FILE   a worker alone, whose spans go into a file
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from examples.traces.shop import app, order, paid, tracer
from examples.traces.spans import tree_of, write_spans_to
from perdure import Client, Worker
from perdure.otel import OpenTelemetry


async def work(store: str, queue: str) -> None:
    async with Worker(store, app, queues=[queue]) as worker:
        await worker.run_forever()


async def shop(store: str) -> None:
    async with Client(store, telemetry=OpenTelemetry()) as client:  # a client with the App has the App's
        with tracer.start_as_current_span("web request"):
            ordered = await client.start(order, "a cup")
            await client.signal(ordered.instance_id, paid, 1650)
        print(await ordered.result())


def main() -> None:
    if sys.argv[1:2] == ["worker"]:
        store, queue, path = sys.argv[2:5]
        write_spans_to(Path(path), f"{queue} worker")
        asyncio.run(work(store, queue))
        return
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/shop.db"
        files = {queue: Path(folder, f"{queue}.jsonl") for queue in ("default", "warehouse")}
        command = [sys.executable, "-m", "examples.traces", "worker", store]
        workers = [subprocess.Popen([*command, queue, str(path)]) for queue, path in files.items()]
        write_spans_to(Path(folder, "shop.jsonl"), "shop")
        try:
            asyncio.run(shop(store))
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait()
        print("\n".join(tree_of([*files.values(), Path(folder, "shop.jsonl")])))


if __name__ == "__main__":
    main()
