"""What the engine's harness leaves open is closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.harness import close_open


@pytest.fixture(autouse=True)
def close_executions() -> Iterator[None]:
    yield
    close_open()
