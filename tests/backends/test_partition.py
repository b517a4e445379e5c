"""Where instances lie is written into stores: it is the same for ever."""

from __future__ import annotations

import pytest

from perdure.backends.keys import KeySource, LastKey
from perdure.backends.partition import Partition


@pytest.mark.parametrize(("instance_id", "number"), [("order-1", 15), ("bestellung-ü", 12), ("", 0)])
def test_an_instance_lies_where_it_always_lay(instance_id: str, number: int) -> None:
    assert Partition(0, 16).of_id(instance_id) == number


def test_keys_say_in_which_partition_their_rows_lie() -> None:
    sources = [KeySource(lambda: 5, Partition(number, 16), LastKey()) for number in range(16)]
    assert [source.draw(10**15) % 16 for source in sources] == list(range(16))
    assert [source.draw_for(7) % 16 for source in sources] == list(range(16))


def test_keys_of_all_partitions_together_never_go_back() -> None:
    last = LastKey()
    sources = [KeySource(lambda: 2047, Partition(number, 3), last) for number in (2, 0, 1, 1)]
    keys = [source.draw(1000) for _ in range(5) for source in sources]
    assert keys == sorted(set(keys))


def test_a_key_drawn_for_another_partition_lies_there() -> None:
    here = Partition(0, 16)
    source = KeySource(lambda: 5, here, LastKey())
    first, second = (source.draw_elsewhere(1000, "order-1") for _ in range(2))
    assert here.of_key(first) == here.of_key(second) == here.of_id("order-1")
    assert first < second < source.draw(1000)
