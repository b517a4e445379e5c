"""Rows of a memory store."""

from __future__ import annotations

import pytest

from perdure.backends.memory.rows import NOTHING


def test_what_rows_without_anything_share_stays_empty() -> None:
    with pytest.raises(TypeError):
        NOTHING["key"] = 1
    with pytest.raises(TypeError):
        NOTHING.update({"key": 1})
    with pytest.raises(TypeError):
        NOTHING.setdefault("key", 1)
    NOTHING.clear()

    assert NOTHING.pop("key", None) is None
    assert dict(NOTHING) == {}
