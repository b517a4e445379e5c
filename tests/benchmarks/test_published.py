from __future__ import annotations

import pytest

from benchmarks.peers.published import PUBLISHED, Published
from benchmarks.registry import CASES


@pytest.mark.parametrize("each", PUBLISHED, ids=lambda each: f"{each.who}-{each.case}-{each.store}")
def test_what_was_published_stands_beside_a_figure_of_ours(each: Published) -> None:
    case = CASES[each.case]

    assert each.figure in {measure.figure for measure in case.measures}
    assert each.store in case.stores
    assert 0 < each.least <= each.most


def test_we_are_held_against_the_better_end() -> None:
    each = Published(who="a", case="tree", figure="rate", store="redis", least=1.0, most=2.0)

    assert (each.best(is_more_better=True), each.best(is_more_better=False)) == (2.0, 1.0)
