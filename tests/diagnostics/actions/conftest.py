"""A store with a worker, in memory and in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from perdure.diagnostics.actions.desk import Desk
from perdure.diagnostics.actions.permissions import everything
from perdure.orchestrator import Orchestrator
from tests import stores
from tests.diagnostics.actions.support import Bank, app_of


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
def desk(perdure: Orchestrator) -> Desk:
    """Where anna may do everything."""
    return Desk(perdure, everything("anna"))
