from __future__ import annotations

import pytest

from tests.otel.spans import Spans


@pytest.fixture
def spans() -> Spans:
    return Spans()
