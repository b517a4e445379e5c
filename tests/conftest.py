"""What the whole suite shares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from perdure.worker import options

SHARED_STORES: dict[str, Callable[[Path], str]] = {"sqlite": lambda folder: f"sqlite:///{folder / 'store.db'}"}
"""Those that several processes can work on at once, each with the URL of an empty one; the folder is new for each test."""


@pytest.fixture(params=SHARED_STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store that several processes can share; a test that takes it runs on each of them."""
    return SHARED_STORES[request.param](tmp_path)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--execution-cache",
        choices=("on", "off"),
        default="on",
        help="off: workers keep no execution in memory, unless a test says how many; each workflow task replays (E3)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--execution-cache") == "off":
        options.DEFAULT_CACHE_SIZE = 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--execution-cache") == "off":
        dropped = [item for item in items if item.get_closest_marker("needs_cache")]
        items[:] = [item for item in items if item not in dropped]
        config.hook.pytest_deselected(items=dropped)
