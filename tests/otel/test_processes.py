"""One trace over real processes, some of which are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.traces.spans import provider_writing_to, tree_of
from perdure import Client
from perdure.otel import OpenTelemetry
from tests.otel.traced_worker import go, order
from tests.worker.support import until_async

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def test_the_example_prints_one_trace_of_three_processes() -> None:
    command = [sys.executable, "-m", "examples.traces"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.splitlines() == [
        "a cup in a box for 1650",
        "web request (shop)",
        "  start order (shop)",
        "    workflow order (default worker)",
        "      receive paid (default worker)",
        "      get it ready (default worker)",
        "        activity reserve (default worker) failed",
        "        activity reserve (default worker)",
        "        timer (default worker)",
        "      sub-workflow ship (default worker)",
        "        workflow ship (warehouse worker)",
        "          activity pack (warehouse worker)",
        "            find a box (warehouse worker)",
        "  signal paid (shop)",
    ]


class Place:
    """A store, and processes that work on it."""

    def __init__(self, folder: Path, cache_size: int) -> None:
        self.store = f"sqlite:///{folder}/store.db"
        self._folder = folder
        self._cache_size = cache_size
        self._count = 0

    @property
    def files(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))

    @contextmanager
    def worker(self, queue: str, *, is_killed: bool = False) -> Generator[None]:
        self._count += 1
        path = self._folder / f"{self._count}.jsonl"
        arguments = [self.store, queue, str(path), str(self._cache_size)]
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.otel.traced_worker", *arguments], cwd=ROOT, env=os.environ
        )
        try:
            yield
        finally:
            (worker.kill if is_killed else worker.terminate)()
            worker.wait(timeout=30)


def client_writing_to(path: Path, store: str) -> Client:
    return Client(store, telemetry=OpenTelemetry(tracer_provider=provider_writing_to(path, "client")))


async def blocked(client: Client, instance_id: str, length: int) -> None:
    """Until its history has so many events, and it waits for what a client sends."""

    async def is_there() -> bool:
        return any([each.history_length >= length async for each in client.list(id_prefix=instance_id)])

    await until_async(is_there)


@pytest.mark.parametrize("cache_size", [100, 0], ids=["in memory", "replayed"])
async def test_killed_workers_leave_the_trace_whole(tmp_path: Path, cache_size: int) -> None:
    place = Place(tmp_path, cache_size)
    async with client_writing_to(tmp_path / "client.jsonl", place.store) as client:
        with place.worker("default", is_killed=True):
            handle = await client.start(order.with_options(instance_id="order"))
            await blocked(client, "order", 3)  # its span is open, its activity has ended
        with place.worker("default"):
            await handle.signal(go, "on")
            with place.worker("warehouse", is_killed=True):
                await blocked(client, "parcel", 1)
            with place.worker("warehouse"):
                await client.signal("parcel", go, "on")
                assert await handle.result() == "a cup"

    assert tree_of(place.files) == [
        "start order (client)",
        "  workflow order (default)",
        "    receive go (default)",
        "    get it ready (default)",
        "      activity pack (default)",
        "        find a box (default)",
        "      timer (default)",
        "    sub-workflow ship (default)",
        "      workflow ship (warehouse)",
        "        receive go (warehouse)",
        "        on its way (warehouse)",
        "          activity pack (warehouse)",
        "            find a box (warehouse)",
        "signal go (client)",
        "signal go (client)",
    ]
    spans = [json.loads(line) for path in place.files for line in path.read_text().splitlines()]
    ids = Counter(span["context"]["span_id"] for span in spans)
    assert max(ids.values()) == 1
    links = {span["name"]: [link["context"]["span_id"] in ids for link in span["links"]] for span in spans}
    assert links["receive go"] == [True]
