"""The starter: it starts workers and orders, waits for the last one, and tells who did what.

Other machines join in with `perdure worker examples.scale.orders:app --store URL --processes 4`; with `--workers 0` the
starter brings none of its own. Kill a worker process meanwhile, with -9 if you like: it is replaced, and every order ends.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from examples.scale.orders import order
from perdure import Client


def main() -> None:
    arguments = parsed_arguments()
    with tempfile.TemporaryDirectory() as folder:
        store = arguments.store or f"sqlite:///{Path(folder, 'scale.db')}"
        with workers(store, arguments.workers, arguments.lease) as watch:
            asyncio.run(start_and_wait(arguments, store, watch))


@contextmanager
def workers(store: str, number: int, lease: str) -> Generator[subprocess.Popen[bytes] | None]:
    """Worker processes, and the one that watches them: it replaces those that die, and stops them at the end."""
    if number == 0:
        yield None
        return
    options = ["--store", store, "--processes", str(number), "--lease", lease, "--log-level", "warning"]
    command = [sys.executable, "-m", "perdure", "worker", "examples.scale.orders:app", *options]
    watch = subprocess.Popen(command, start_new_session=True)  # so that Ctrl-C reaches it once, by terminate
    try:
        yield watch
    finally:
        watch.terminate()
        watch.wait()


async def start_and_wait(arguments: argparse.Namespace, store: str, watch: subprocess.Popen[bytes] | None) -> None:
    async with Client(store) as client:
        await until_they_work(client, max(1, arguments.workers), watch)
        began = time.perf_counter()
        steps = await run_orders(client, arguments.workflows, arguments.in_flight)
        tell(arguments.workflows, steps, time.perf_counter() - began)


async def until_they_work(client: Client, number: int, watch: subprocess.Popen[bytes] | None) -> None:
    while sum(worker.is_alive for worker in (await client.stats()).workers) < number:
        if watch is not None and watch.poll() is not None:
            raise SystemExit(watch.returncode)  # it has said why
        await asyncio.sleep(0.05)


async def run_orders(client: Client, workflows: int, in_flight: int) -> Counter[str]:
    """How many steps each worker did. As many customers as there may be orders in flight: each waits for its own."""
    numbers, steps = iter(range(workflows)), Counter[str]()
    run = f"{time.time_ns():x}"

    async def customer() -> None:
        for number in numbers:
            steps.update(await client.run(order.with_options(instance_id=f"scale-{run}-{number}"), number))

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(customer())
    return steps


def tell(workflows: int, steps: Counter[str], seconds: float) -> None:
    rate = workflows / seconds
    print(f"{workflows:,} workflows with {steps.total():,} steps in {seconds:.2f} s: {rate:,.0f} workflows a second")
    for place, (worker, done) in enumerate(steps.most_common(), start=1):
        print(f"{place:>4}. {worker}: {done:,} steps, {done / steps.total():.0%}")


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.scale", description="A starter and workers on one store.")
    parser.add_argument("--store", metavar="URL", help="a SQLite file of its own by default")
    parser.add_argument("--workers", metavar="N", type=int, default=4, help="worker processes to start; default: 4")
    parser.add_argument(
        "--lease", metavar="SECONDS", default="20", help="how long others wait for a killed one; default: 20"
    )
    parser.add_argument("--workflows", metavar="N", type=int, default=2000, help="orders to start; default: 2000")
    parser.add_argument("--in-flight", metavar="N", type=int, default=200, help="orders at a time; default: 200")
    return parser.parse_args()


if __name__ == "__main__":
    main()
