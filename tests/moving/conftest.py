"""Each pair of stores between which one can move. A new kind of store gets a line in `PLACES`."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from perdure.backends.connect import connect
from perdure.backends.protocol import Backend

PLACES: dict[str, Callable[[Path, str], str]] = {
    "memory": lambda folder, name: f"memory://{folder.name}-{name}",
    "sqlite": lambda folder, name: f"sqlite:///{folder}/{name}.db",
}


@pytest.fixture(params=itertools.product(PLACES, repeat=2), ids="-to-".join)
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    source, target = request.param
    return PLACES[source](tmp_path, "old"), PLACES[target](tmp_path, "new")


@pytest.fixture
async def source(urls: tuple[str, str]) -> AsyncIterator[Backend]:
    backend = connect(urls[0])
    await backend.open()
    yield backend
    await backend.close()


@pytest.fixture
async def target(urls: tuple[str, str]) -> AsyncIterator[Backend]:
    backend = connect(urls[1])
    await backend.open()
    yield backend
    await backend.close()
