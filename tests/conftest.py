"""What the whole suite shares."""

from __future__ import annotations

import pytest

from perdure.worker import options


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
