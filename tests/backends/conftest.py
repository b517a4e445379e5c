from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.places import place
from tests.stores import service_url


@pytest.fixture
def postgresql_schema() -> Iterator[str]:
    """The name of one that nobody else has, and without rows."""
    with place(service_url("postgresql")) as schema:
        yield schema
