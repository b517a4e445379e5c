"""When what has expired is looked for again."""

from __future__ import annotations

import pytest

from perdure.worker.clearing import pause_seconds


@pytest.mark.parametrize(
    ("removed", "took", "earliest", "latest"),
    [
        pytest.param(0, 0.001, 5.0, 15.0, id="nothing has expired"),
        pytest.param(100, 0.1, 0.9, 0.9, id="there was something, and the store is busy"),
        pytest.param(100, 0.001, 0.05, 0.05, id="there was something"),
    ],
)
def test_others_have_the_store_for_most_of_the_time(removed: int, took: float, earliest: float, latest: float) -> None:
    assert [pause_seconds(removed, took, chance) for chance in (0.0, 1.0)] == pytest.approx([earliest, latest])
