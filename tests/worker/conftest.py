from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

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


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """Each store that is at hand."""
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/worker.db"
    backend = connect(url)
    await backend.open()
    yield backend
    await backend.close()
