"""Times the diagnostics pages of a large store: `python -m benchmarks.pages [--store URL]`.

20,000 instances, and one with a history of 10,000 events. What is timed is the server: from a request to the last byte of its answer,
in its own process, without a network. The first time nothing of the store has been looked at by that site.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import click
from httpx import ASGITransport, AsyncClient

from benchmarks.filling import fill, fill_long
from benchmarks.stores import kind_of
from benchmarks.workload import app
from perdure.diagnostics.web.site import create_app

_ENDED, _WAITING, _EVENTS = 19_000, 1_000, 10_000
_TIMES = 20
_LONG = f"/instances/long-{_EVENTS}"
PAGES = {
    "the first page": "/",
    "its next page": "/?size=100",
    "those that run": "/?show=running",
    "ids that hold a text": "/?find=9999",
    f"a history of {_EVENTS:,} events, its end": _LONG,
    "its beginning": f"{_LONG}?after=-1",
    "an event in its middle": f"{_LONG}?at=5000",
    "events that hold a text": f"{_LONG}?text=4321",
    "an instance that waits": f"/instances/waiting-{0:08d}",
    "queues and workers": "/queues",
    "schedules": "/schedules",
    "1,000 events as JSON": f"/api/instance/history?id=long-{_EVENTS}&limit=1000",
}


async def time_pages(store: str) -> dict[str, list[float]]:
    """The milliseconds of each page, those of the first time first. Each has a site of its own."""
    found: dict[str, list[float]] = {}
    for name, path in PAGES.items():
        async with (
            create_app(store, app) as site,
            AsyncClient(transport=ASGITransport(site), base_url="http://pages.test") as http,
        ):
            found[name] = [await _milliseconds(http, path) for _ in range(_TIMES)]
    return found


async def _milliseconds(http: AsyncClient, path: str) -> float:
    began = time.perf_counter()
    answer = await http.get(path)
    took = (time.perf_counter() - began) * 1000
    answer.raise_for_status()
    return took


@click.command(help=__doc__)
@click.option("--store", "url", default="sqlite:///{folder}/pages.db", help="An empty store; by default a SQLite file.")
def main(url: str) -> None:
    asyncio.run(_main(url))


async def _main(url: str) -> None:
    kind = kind_of(url)
    with tempfile.TemporaryDirectory() as folder:
        store = await kind.fresh(url, Path(folder), uuid4().hex[:12])
        try:
            await fill(store, ended=_ENDED, waiting=_WAITING)
            await fill_long(store, events=_EVENTS)
            print(f"{'ms':44} {'first':>8} {'median':>8} {'worst':>8}")
            for name, took in (await time_pages(store)).items():
                print(f"{name:44} {took[0]:8.0f} {sorted(took)[len(took) // 2]:8.0f} {max(took):8.0f}")
        finally:
            await kind.drop(store)


if __name__ == "__main__":
    main()
