from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perdure.backends.connect import connect
from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.protocol import Backend
from tests.worker.support import Watched


@pytest.fixture
def memory() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def watched(memory: MemoryBackend) -> Watched:
    return Watched(memory)


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Backend]:
    """Each kind of store."""
    backend = connect(store_url)
    await backend.open()
    yield backend
    await backend.close()
