from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perdure.backends.keys import KeySource, draw_key
from perdure.clock import random_token

YEAR_2100 = 4_102_444_800_000_000


@given(st.integers(0, YEAR_2100), st.integers(0, 2**63 - 1))
def test_a_key_is_a_positive_63_bit_number(at: int, token: int) -> None:
    assert 0 <= draw_key(at, lambda: token) < 2**63


@given(st.integers(0, YEAR_2100), st.integers(1, 10**9))
def test_a_later_key_is_larger(at: int, later: int) -> None:
    assert draw_key(at, random_token) < draw_key(at + later, random_token)


@given(st.lists(st.integers(0, YEAR_2100), max_size=50))
def test_keys_of_one_process_never_go_back(times: list[int]) -> None:
    source = KeySource(random_token)
    keys = [source.draw(now) for now in times]
    assert keys == sorted(set(keys))


def test_any_number_of_keys_can_be_drawn_while_the_clock_stands_still() -> None:
    source = KeySource(random_token)
    assert len({source.draw(7) for _ in range(10_000)}) == 10_000
