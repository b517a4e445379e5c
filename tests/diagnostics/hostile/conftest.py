"""A store that strangers have written to, and its pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from perdure.diagnostics.web.site import create_app
from tests.diagnostics.browser.fixtures import address, browser, chromium, perdure, url
from tests.diagnostics.browser.reader import Reader, reading
from tests.diagnostics.browser.serving import anna, served
from tests.diagnostics.hostile.programs import app, fill

__all__ = ["address", "browser", "chromium", "perdure", "url"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def hostile_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("hostile") / "hostile.db"
    await fill(f"sqlite:///{path}")
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def hostile_address(hostile_store: str) -> Iterator[str]:
    with served(create_app(hostile_store, app, authorize=anna)) as address:
        yield address


@pytest_asyncio.fixture(loop_scope="session")
async def reader(browser: Browser, hostile_address: str) -> AsyncIterator[Reader]:
    async with reading(browser, hostile_address) as reader:
        yield reader
