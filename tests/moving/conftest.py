"""Each pair of stores between which one can move."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from perdure.backends.connect import connect
from perdure.backends.protocol import Backend
from tests import stores


def _marks_of(source: str, target: str) -> list[pytest.MarkDecorator]:
    is_quick = source == "sqlite" or {source, target} <= _QUICK
    return stores.marks_of(source, target) + ([] if is_quick else [pytest.mark.soak])


_QUICK = {"memory", "sqlite", "postgresql"}
"""Kinds of which every run of the suite tries each pair. Of all others it tries those from SQLite; `make soak` has the rest."""

_PAIRS = [
    pytest.param((source, target), marks=_marks_of(source, target))
    for source, target in itertools.product(stores.ALL, repeat=2)
]


@pytest.fixture(params=_PAIRS, ids="-to-".join)
def urls(request: pytest.FixtureRequest, empty_store: Callable[[str], str]) -> tuple[str, str]:
    source, target = request.param
    return empty_store(source), empty_store(target)


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
