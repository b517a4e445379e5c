"""A store, a client of it, and a worker by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from tests.client.by_hand import Hand
from tests.client.shop import app


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
async def client(backend: MemoryBackend) -> AsyncIterator[Client]:
    async with Client(backend, app) as client:
        yield client


@pytest.fixture
def hand(backend: MemoryBackend) -> Hand:
    return Hand(backend, *app.workflows)
