from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from tests import stores
from tests.network.machines import Machines
from tests.network.stranger import LOCKING


@pytest.fixture
async def machines(server_store_url: str) -> AsyncIterator[Machines]:
    """On an empty store of each kind that is behind a network."""
    if server_store_url.startswith("redis+cluster"):
        pytest.skip("a cluster's client goes round the proxy: its nodes tell it where they are")
    async with AsyncExitStack() as stack:
        yield Machines(server_store_url, stack)


@pytest.fixture
async def locking_machines(locking_store_url: str) -> AsyncIterator[Machines]:
    """On an empty store of each kind whose rows can be locked."""
    async with AsyncExitStack() as stack:
        yield Machines(locking_store_url, stack)


@pytest.fixture(params=stores.as_parameters(LOCKING))
def locking_store_url(request: pytest.FixtureRequest, empty_store: Callable[[str], str]) -> str:
    """An empty store of each kind whose rows a stranger can lock."""
    return empty_store(request.param)
