"""The API before a store with a worker, asked over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from perdure.diagnostics.actions.permissions import READ_ONLY, everything
from perdure.orchestrator import Orchestrator
from tests import stores
from tests.diagnostics.actions.support import Bank, app_of
from tests.diagnostics.api.support import Api, Shop, fill


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture(params=stores.as_parameters(("memory", "sqlite")))
async def perdure(
    request: pytest.FixtureRequest, empty_store: Callable[[str], str], bank: Bank
) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(empty_store(request.param), app_of(bank)) as orchestrator:
        yield orchestrator


@pytest.fixture
async def api(perdure: Orchestrator, bank: Bank) -> AsyncIterator[Api]:
    """Where everything is allowed."""
    made = Api(perdure, bank, everything("anna"))
    async with made.http:
        yield made
        await made.services.batches.close()


@pytest.fixture
async def read_only(perdure: Orchestrator, bank: Bank) -> AsyncIterator[Api]:
    made = Api(perdure, bank, READ_ONLY)
    async with made.http:
        yield made


@pytest.fixture
async def shop(perdure: Orchestrator, api: Api, bank: Bank) -> Shop:
    return await fill(perdure, api, bank)
