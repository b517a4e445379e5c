"""Counts what travels to a server: `python -m benchmarks.round_trips --store URL`, or all of PERDURE_TEST_… without it.

A workflow alone, a step alone, and an idle worker. Round trips are those of all connections: the one that writes, the one that
reads, the one that tells others. A cluster's clients go to its nodes by themselves: there only the server's own count is had,
which is of everybody who uses it meanwhile.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import click

from benchmarks.counting import Trips, counted
from benchmarks.measuring import keep_in_flight, until_all_wait
from benchmarks.stores import KINDS, kind_of
from benchmarks.workload import app, one_activity, steps_in_a_row, wait_for_signal
from perdure import Orchestrator

_TIMES = 50
_STEPS = 101
_WAITING = 1_000
_IDLE_SECONDS = 20.0
_REST_SECONDS = 0.1


class Count:
    """What was sent since it was made."""

    def __init__(self, url: str, trips: Trips) -> None:
        self._url = url
        self._trips = trips
        self._before = 0
        self._commands = 0

    async def begin(self) -> None:
        self._before, self._commands = self._trips.count, await kind_of(self._url).commands(self._url) or 0

    async def end(self) -> tuple[int, int]:
        """Round trips, and the server's commands, with the few that asking took."""
        return self._trips.count - self._before, (await kind_of(self._url).commands(self._url) or 0) - self._commands


@asynccontextmanager
async def _fresh(url: str) -> AsyncIterator[tuple[str, str, Trips]]:
    kind = kind_of(url)
    with tempfile.TemporaryDirectory() as folder:
        store = await kind.fresh(url, Path(folder), uuid4().hex[:12])
        try:
            if kind.name == "redis-cluster":
                yield store, store, Trips()
            else:
                async with counted(store) as (by_proxy, trips):
                    yield store, by_proxy, trips
        finally:
            await kind.drop(store)


async def count(url: str) -> dict[str, tuple[float, float]]:
    """Round trips and commands, by what for."""
    found: dict[str, tuple[float, float]] = {}
    async with _fresh(url) as (store, by_proxy, trips):
        counting = Count(store, trips)
        async with Orchestrator(by_proxy, app) as perdure:
            await perdure.run(steps_in_a_row, 3)  # what is prepared at the first use
            for name, steps in (("a workflow with one activity, alone", 1), ("each further activity in a row", _STEPS)):
                times = _TIMES if steps == 1 else 1
                for _ in range(3):
                    await perdure.run(one_activity, 1)
                await asyncio.sleep(_REST_SECONDS)
                await counting.begin()
                for _ in range(times):
                    await perdure.run(steps_in_a_row, steps)
                found[name] = _each(await counting.end(), times if steps == 1 else steps)
        await _fill_with_waiting(store)
        async with Orchestrator(by_proxy, app):
            await asyncio.sleep(2.0)
            await counting.begin()
            await asyncio.sleep(_IDLE_SECONDS)
            found[f"an idle worker, each second, {_WAITING:,} wait"] = _each(await counting.end(), _IDLE_SECONDS)
    return found


async def _fill_with_waiting(store: str) -> None:
    async with Orchestrator(store, app, cache_size=0) as perdure:

        async def start(x: int) -> None:
            await perdure.start(wait_for_signal.with_options(instance_id=f"waits-{x}"), x)

        await keep_in_flight(_WAITING, 50, start)
        await until_all_wait(perdure, evicted=True)


def _each(sent: tuple[int, int], units: float) -> tuple[float, float]:
    return sent[0] / units, sent[1] / units


@click.command()
@click.option("--store", "urls", multiple=True, help="A store's URL. Repeatable.")
def main(urls: tuple[str, ...]) -> None:
    """Print what each kind of work costs in round trips."""
    known = [url for kind in KINDS.values() if kind.is_remote and (url := kind.url())]
    for url in urls or known:
        click.echo(kind_of(url).name)
        for name, (trips, commands) in asyncio.run(count(url)).items():
            click.echo(f"  {trips:8.2f} round trips  {commands:8.2f} commands, by the server   {name}")


if __name__ == "__main__":
    main()
