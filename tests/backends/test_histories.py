"""Whole histories are read together: what many ask for at once, each by its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from perdure.backends.histories import Histories, Rows
from perdure.backends.looking import HistoryRow, Looking
from perdure.backends.sql.inspection.history import read_current
from perdure.backends.sql.looking import SqlLooking
from perdure.backends.sqlite import SqliteBackend
from perdure.errors import StoreUnavailable
from perdure.testing.conformance import builders
from tests.backends.sqlite_helpers import opened

CURRENT = b"current"


class Library:
    """Has the histories of all keys; each read of it is noted, and waits until it may end."""

    def __init__(self) -> None:
        self.reads: list[list[int]] = []
        self.may_end = asyncio.Event()
        self.is_away = False
        self.page = 1_000
        """So many fit into one."""

    async def look(self, action: Callable[[Looking], Rows]) -> Rows:
        found = action(self)  # type: ignore[arg-type]
        await self.may_end.wait()
        if self.is_away:
            raise StoreUnavailable("the server is away")
        return found

    def read_histories(self, executions: Mapping[int, bytes]) -> dict[int, list[HistoryRow]]:
        self.reads.append(list(executions))
        current = [key for key, execution in executions.items() if execution == CURRENT]
        return {key: [(0, b"%d" % key)] for key in current[: self.page]}


@pytest.fixture
async def library() -> Library:
    return Library()


async def begun(histories: Histories, *wanted: tuple[int, bytes]) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(histories.rows(*each)) for each in wanted]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_what_is_asked_for_at_once_is_read_together(library: Library) -> None:
    library.may_end.set()
    tasks = await begun(Histories(library.look), *((key, CURRENT) for key in range(100)))
    assert await asyncio.gather(*tasks) == [[(0, b"%d" % key)] for key in range(100)]
    assert [len(keys) for keys in library.reads] == [64, 36]


async def test_what_comes_during_a_read_is_read_afterwards(library: Library) -> None:
    """Who asks sees what was committed before it did."""
    histories = Histories(library.look)
    first = await begun(histories, (1, CURRENT))
    second = await begun(histories, (1, CURRENT), (2, CURRENT))
    assert library.reads == [[1]]
    library.may_end.set()
    await asyncio.gather(*first, *second)
    assert library.reads == [[1], [1, 2]]


async def test_what_does_not_fit_into_one_read_comes_with_the_next(library: Library) -> None:
    library.may_end.set()
    library.page = 4
    tasks = await begun(Histories(library.look), *((key, CURRENT) for key in range(10)), (10, b"past"))
    assert await asyncio.gather(*tasks) == [*([(0, b"%d" % key)] for key in range(10)), None]
    assert [len(keys) for keys in library.reads] == [11, 7, 3, 1]


async def test_of_two_executions_of_an_instance_one_is_read_by_itself(library: Library) -> None:
    library.may_end.set()
    tasks = await begun(Histories(library.look), (1, b"past"), (1, CURRENT))
    assert await asyncio.gather(*tasks) == [None, [(0, b"1")]]


async def test_who_gives_up_takes_nobody_along(library: Library) -> None:
    tasks = await begun(Histories(library.look), (1, CURRENT), (1, CURRENT), (2, CURRENT))
    tasks[0].cancel()
    library.may_end.set()
    assert await asyncio.gather(*tasks[1:]) == [[(0, b"1")], [(0, b"2")]]
    assert tasks[0].cancelled()


async def test_what_cannot_be_read_together_is_left_to_each(library: Library) -> None:
    library.is_away = True
    library.may_end.set()
    histories = Histories(library.look)
    assert await asyncio.gather(*await begun(histories, (1, CURRENT), (2, CURRENT))) == [None, None]
    library.is_away = False
    assert await histories.rows(1, CURRENT) == [(0, b"1")]


async def test_what_does_not_fit_into_the_page_is_left_out(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        created = [await store.create(f"order-{number}") for number in range(3)]
        worker = await store.worker()
        await asyncio.gather(
            *(worker.checkpoint(task, builders.marked()) for task in await worker.claim_workflow_tasks(3))
        )
        executions = {one.instance_key: one.execution_id for one in created}
        backend = store.backend
        assert isinstance(backend, SqliteBackend)

        async def lengths(limit: int) -> list[int | None]:
            def look(looking: Looking) -> Rows:
                assert isinstance(looking, SqlLooking)
                return read_current(looking.session, executions, limit)

            found = await backend._look(look)
            return [len(found[key]) if key in found else None for key in executions]

        assert await lengths(4) == [1, 1, 1]
        assert await lengths(3) == [1, 1, None]  # there may be more of the third
        assert await lengths(1) == [None, None, None]
