"""Fixtures of tests that go through pages in a browser. Folders that have such tests import them into their conftest.

A browser, and all that talks to it, lives in the event loop of the session: such tests have the mark `IN_BROWSER`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from perdure.orchestrator import Orchestrator
from scripts.chromium import find
from scripts.debian_unstable import Unavailable
from tests.diagnostics.browser.filling import age, fill_many, fill_shop
from tests.diagnostics.browser.reader import DEADLINE_MS, Reader, reading
from tests.diagnostics.browser.serving import served_shop
from tests.diagnostics.browser.shop import QUEUES, app

IN_BROWSER = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="session")
def chromium() -> Path:
    try:
        return find()
    except Unavailable as problem:
        reason = f"{problem}: `make test` installs it where that is permitted, and `python3 -m scripts.chromium`"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    expect.set_options(timeout=DEADLINE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def full_store(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> str:
    """Made once, by the first of the processes that share the suite. Tests that change a store have one of their own."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder if worker_id == "master" else folder.parent
    path, is_filled = folder / "full.db", folder / "full.db.filled"
    with (folder / "full.db.filling").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not is_filled.exists():
            await _fill(path)
            is_filled.touch()
    return f"sqlite:///{path}"


async def _fill(path: Path) -> None:
    url = f"sqlite:///{path}"
    await fill_many(url)
    await fill_shop(url)
    age(path, "subscription-old", timedelta(hours=5))


@pytest.fixture(scope="session")
def full_address(full_store: str) -> Iterator[str]:
    with served_shop(full_store) as address:
        yield address


@pytest_asyncio.fixture(loop_scope="session")
async def reader(browser: Browser, full_address: str) -> AsyncIterator[Reader]:
    """Somebody who looks at the store in which everything has happened."""
    async with reading(browser, full_address) as reader:
        yield reader


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty store of the test's own."""
    return f"sqlite:///{tmp_path / 'shop.db'}"


@pytest.fixture
def address(url: str) -> Iterator[str]:
    with served_shop(url) as address:
        yield address


@pytest_asyncio.fixture(loop_scope="session")
async def perdure(url: str) -> AsyncIterator[Orchestrator]:
    """A client of the test's own store, with a worker."""
    async with Orchestrator(url, app, queues=QUEUES) as orchestrator:
        yield orchestrator


@pytest_asyncio.fixture(loop_scope="session")
async def steerer(browser: Browser, address: str) -> AsyncIterator[Reader]:
    """Somebody who looks at the test's own store, and may do everything."""
    async with reading(browser, address) as reader:
        yield reader
