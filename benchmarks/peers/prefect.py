"""Prefect with the temporary API server that it starts itself, on a SQLite file.

A flow is the workflow, a task the activity; results are persisted as files, or nothing could be found again. What was tried:
one flow at a time 8.5/s, 2 at a time 6.7, 4: 6.4, 20: 2.3; a tree with children side by side 1.1 flows/s. So never more than
one flow is under way, whatever is asked; tasks do run side by side.
The start of the server (some 10 s) falls into the warm-up. A flow that only lies there would need a deployment: no `start_only`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from benchmarks.peers import measure
from benchmarks.peers.measure import Order, Stored

FILE = "prefect.db"
Flow = Callable[[int], Coroutine[Any, Any, Any]]


def environment(order: Order) -> dict[str, str]:
    """Read by Prefect when it is imported, and handed on to its server."""
    return {
        "PREFECT_HOME": str(order.folder),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{order.folder / FILE}",
        "PREFECT_API_URL": "",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "60",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "DO_NOT_TRACK": "1",
    }


def flows() -> dict[str, Flow]:
    """The workflows, once the environment is set."""
    from prefect import flow, task

    @task
    async def double(x: int) -> int:
        return x * 2

    @task
    async def payload(number: int) -> str:
        return measure.PAYLOAD

    @flow
    async def one_activity(x: int) -> int:
        return int(await double(x)) + 1

    @flow
    async def ten_in_a_row(x: int) -> int:
        return sum([await double(x + step) for step in range(measure.STEPS_OF_TEN)])

    @flow
    async def steps_in_a_row(steps: int) -> int:
        return sum([await double(step) for step in range(steps)])

    @flow
    async def fan_out(width: int) -> int:
        return sum(await asyncio.gather(*(double(x) for x in range(width))))

    @flow
    async def leaf(number: int) -> int:
        # Equal arguments within a flow would give the first one's result from the cache.
        return sum(len(each) for each in await asyncio.gather(payload(0), payload(1)))

    @flow
    async def tree(depth: int) -> int:
        child = tree if depth else leaf
        return sum([await child(depth - 1) for _ in range(2)])

    return {each.fn.__name__: each for each in (one_activity, ten_in_a_row, steps_in_a_row, fan_out, tree)}


class Prefect:
    """One flow at a time."""

    def __init__(self, workflows: dict[str, Flow]) -> None:
        self._workflows = workflows

    async def run(self, workflow: str, x: int) -> int:
        return int(await self._workflows[workflow](measure.DEPTH if workflow == "tree" else x))

    async def run_all(self, workflow: str, xs: Iterable[int], in_flight: int) -> list[int]:
        return await measure.closed_loop(self.run, workflow, xs, 1)

    async def start(self, x: int) -> None:
        raise NotImplementedError("a flow runs where it is called")

    def settings(self) -> dict[str, Any]:
        versions = {name: version(name) for name in ("prefect", "fastapi", "sqlalchemy")}
        # The server's connections can't be asked from here: NORMAL is what its source sets on each.
        return {**versions, "sqlite": sqlite3.sqlite_version, "in_flight": 1, "synchronous": "normal (not read back)"}


@asynccontextmanager
async def opened(order: Order) -> AsyncIterator[Prefect]:
    os.environ.update(environment(order))
    yield Prefect(flows())


def stored(order: Order) -> Stored:
    return measure.stored_in(
        order.folder / FILE, "select count(*), count(*) filter (where state_type = 'COMPLETED') from flow_run"
    )


def main(words: list[str]) -> None:
    measure.main(opened, stored, words)
