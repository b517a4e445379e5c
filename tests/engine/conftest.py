from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine import harness


@pytest.fixture(params=[False, True], ids=["cached", "evicted"])
def evicting(request: pytest.FixtureRequest) -> bool:
    """Each test that asks for it runs twice: with the execution kept in memory, and made again after each event."""
    return bool(request.param)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    harness.close_open()
