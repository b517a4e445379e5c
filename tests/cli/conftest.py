"""A store in a file, and the command line on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from perdure.cli.commands import perdure
from perdure.orchestrator import Orchestrator, SyncOrchestrator
from tests.cli.orders import app

Call = Callable[..., Result]
Serve = Callable[[], SyncOrchestrator]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'orders.db'}"


@pytest.fixture
def call(url: str) -> Call:
    """Run a command on the store; an exception that isn't a message is raised."""

    def call(*arguments: str, store: str | None = url) -> Result:
        environment = {"PERDURE_STORE": store, "PERDURE_APP": None}
        result = CliRunner().invoke(perdure, arguments, env=environment, prog_name="perdure")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def work(url: str) -> Callable[[Callable[[Orchestrator], Awaitable[Any]]], None]:
    """Let a function work on the store."""

    def work(function: Callable[[Orchestrator], Awaitable[Any]]) -> None:
        async def main() -> None:
            async with Orchestrator(url, app) as orchestrator:
                await function(orchestrator)

        asyncio.run(main())

    return work


@pytest.fixture
def serve(url: str) -> Iterator[Serve]:
    """Begin a worker in a thread, which works until the test has ended."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(SyncOrchestrator(url, app))
