"""A store of each kind with a worker, and a look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perdure.app import App
from perdure.diagnostics.look import Look
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views import programs


@pytest.fixture
def app() -> App:
    return programs.app


@pytest.fixture
async def perdure(store_url: str, app: App) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(store_url, app, grace=0) as orchestrator:  # some activities wait for ever
        yield orchestrator


@pytest.fixture
def look(perdure: Orchestrator, app: App) -> Look:
    return Look(perdure, app)
