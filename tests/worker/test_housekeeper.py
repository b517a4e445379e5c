"""When the house is kept again."""

from __future__ import annotations

import pytest

from perdure.worker.housekeeper import pause_seconds

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("next_lapse_in", "earliest", "latest"),
    [
        pytest.param(None, 1.5, 4.5, id="nobody lives"),
        pytest.param(20 * SECOND, 1.5, 4.5, id="all have been heard of"),
        pytest.param(SECOND // 2, 0.55, 1.05, id="one is silent"),
        pytest.param(0, 0.05, 0.55, id="one has just been found dead, who knows"),
    ],
)
def test_every_few_seconds_or_when_a_lease_lapses(next_lapse_in: int | None, earliest: float, latest: float) -> None:
    assert [pause_seconds(next_lapse_in, chance) for chance in (0.0, 1.0)] == pytest.approx([earliest, latest])
