from __future__ import annotations

import uuid

from perdure.client.identity import derived_id, draw_instance_id
from perdure.clock import SystemClock


class Clock(SystemClock):
    at = 1_800_000_000_000_000

    def now(self) -> int:
        return self.at


def test_a_drawn_id_is_the_hex_of_a_uuid_of_version_7() -> None:
    drawn = uuid.UUID(hex=draw_instance_id(Clock()))

    assert (drawn.version, drawn.variant) == (7, uuid.RFC_4122)
    assert drawn.int >> 80 == Clock.at // 1000


def test_ids_drawn_later_sort_later() -> None:
    clock = Clock()
    drawn = []
    for _ in range(100):
        drawn.append(draw_instance_id(clock))
        clock.at += 1000

    assert drawn == sorted(drawn)


def test_ids_drawn_at_the_same_time_differ() -> None:
    assert len({draw_instance_id(Clock()) for _ in range(1000)}) == 1000


def test_derived_ids_are_repeatable_and_of_128_bits() -> None:
    assert derived_id("start", "a", b"b") == derived_id("start", "a", b"b")
    assert len(derived_id("start", "a")) == 16


def test_derived_ids_tell_purpose_and_parts_apart() -> None:
    ids = [
        derived_id("start", "a", "b"),
        derived_id("signal", "a", "b"),
        derived_id("start", "ab"),
        derived_id("start", "a", "", "b"),
        derived_id("start", "", "ab"),
    ]

    assert len(set(ids)) == len(ids)
