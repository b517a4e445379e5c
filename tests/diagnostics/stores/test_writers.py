"""Whoever reads locks nobody out who writes, and waits for no one."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient

from benchmarks.filling import fill_long
from perdure.diagnostics.web.site import create_app
from tests.diagnostics.browser.filling import fill_shop
from tests.diagnostics.browser.serving import anna
from tests.diagnostics.browser.shop import app

LONG = 10_000
PAGES = [
    "/",
    "/?show=stuck",
    "/?find=order",
    f"/instances/long-{LONG}",
    f"/instances/long-{LONG}?text=nowhere",
    f"/instances/long-{LONG}/save",
    "/instances/order-4712",
    "/instances/breakfast/tree",
    "/queues",
    "/schedules",
    "/do/instance/order-4712/cancel",
    "/batches/new/cancel?workflow=order",
    "/health",
    "/api/instances",
    f"/api/instance/history?id=long-{LONG}&limit=1000",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def http(path: Path) -> AsyncIterator[AsyncClient]:
    url = f"sqlite:///{path}"
    await fill_long(url, events=LONG)
    await fill_shop(url)
    async with create_app(url, app, authorize=anna) as site:
        async with AsyncClient(transport=ASGITransport(site), base_url="http://here.test", timeout=60) as http:
            yield http


def connect(path: Path) -> sqlite3.Connection:
    """One that waits for no lock: what is locked is an error at once."""
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


async def test_no_page_needs_the_lock_of_writers(http: AsyncClient, path: Path) -> None:
    """Another process holds it all the time: a page that wanted it would wait, and in the end fail."""
    with closing(connect(path)) as writer:
        writer.execute("begin immediate")
        writer.execute("create table of_somebody_else (number)")
        for page in PAGES:
            answer = await http.get(page)
            assert answer.status_code == 200, page
        writer.execute("rollback")


async def test_writers_never_wait_while_pages_are_read(http: AsyncClient, path: Path) -> None:
    """Another process writes one transaction after the other, and none of them finds the file locked."""
    with closing(connect(path)) as writer:
        writer.execute("create table of_somebody_else (number)")
        with writing(writer) as written:
            for page in PAGES:
                before = written.count
                while written.count < before + 3:  # that many, and perhaps more, while this page was read
                    answers = await asyncio.gather(*(http.get(page) for _ in range(2)))
                    assert {answer.status_code for answer in answers} == {200}, page
        assert written.problem is None


class Written:
    count = 0
    problem: sqlite3.Error | None = None


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[Written]:
    """One commit after the other meanwhile, in a thread."""
    written, has_ended = Written(), threading.Event()

    def write() -> None:
        while not has_ended.is_set():
            try:
                connection.execute("begin immediate")
                connection.execute("insert into of_somebody_else values (?)", [written.count])
                connection.execute("commit")
            except sqlite3.Error as problem:
                written.problem = problem
                return
            written.count += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        has_ended.set()
        thread.join()
