"""What the whole suite shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from perdure.worker import options
from tests import places, stores


@pytest.fixture(scope="session", autouse=True)
def _no_places_are_left() -> Iterator[None]:
    yield
    places.drop_all()


@pytest.fixture
def empty_store(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes empty stores by the name of their kind, and gives their URLs."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(stores.empty_store(name, tmp_path))


@pytest.fixture(params=stores.as_parameters(stores.ALL))
def store_url(request: pytest.FixtureRequest, empty_store: Callable[[str], str]) -> str:
    """An empty store; a test that takes it runs on each kind."""
    return empty_store(request.param)


@pytest.fixture(params=stores.as_parameters(stores.SHARED))
def shared_store_url(request: pytest.FixtureRequest, empty_store: Callable[[str], str]) -> str:
    """An empty store that several processes can work on at once, of each kind."""
    return empty_store(request.param)


@pytest.fixture(params=stores.as_parameters(stores.ON_SERVERS))
def server_store_url(request: pytest.FixtureRequest, empty_store: Callable[[str], str]) -> str:
    """An empty store on a server, of each kind."""
    return empty_store(request.param)


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
