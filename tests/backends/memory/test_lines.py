from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perdure.backends.memory.lines import Line, Schedule, in_order

keys = st.integers(1, 8)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, st.integers(0, 20)),
        st.tuples(st.just("remove"), keys, st.just(0)),
        st.tuples(st.just("go on"), st.just(0), st.integers(0, 3)),
    ),
    max_size=80,
)


@given(changes)
def test_a_schedule_gives_each_key_once_at_its_last_instant(steps: list[tuple[str, int, int]]) -> None:
    schedule, now = Schedule(), 0
    expected: dict[int, int] = {}
    for what, key, number in steps:
        if what == "put":
            schedule.put(key, number)
            expected[key] = number
        elif what == "remove":
            schedule.remove(key)
            expected.pop(key, None)
        else:
            now += number
            due = list(schedule.pop_due(now))
            assert sorted(due) == sorted(key for key, at in expected.items() if at <= now)
            assert [expected[key] for key in due] == sorted(expected[key] for key in due)
            for gone in due:
                del expected[gone]
        assert schedule.first_at() == min(expected.values(), default=None)
        assert len(schedule) == len(expected)


@given(changes)
def test_a_line_is_what_is_due_in_the_order_of_ranks(steps: list[tuple[str, int, int]]) -> None:
    line, now = Line(), 0
    expected: dict[int, int] = {}
    for what, key, number in steps:
        if what == "put":
            line.put(key, (-(key % 3), key, 0), number, now)
            expected[key] = number
        elif what == "remove":
            line.remove(key)
            expected.pop(key, None)
        else:
            now += number
            line.advance(now)
        standing = sorted((-(key % 3), key, 0) for key, at in expected.items() if at <= now)
        first = line.first()
        assert (None if first is None else first[0]) == (standing[0] if standing else None)
        assert line.next_due_at() == min((at for at in expected.values() if at > now), default=None)
        assert len(line) == len(expected)


@given(st.lists(st.sets(st.integers(1, 100)), max_size=5))
def test_several_lines_are_one_order(sets: list[set[int]]) -> None:
    lines = [Line() for _ in sets]
    for number, (line, some) in enumerate(zip(lines, sets, strict=True)):
        for key in some:
            line.put(key * 10 + number, (-(key % 3), key, number), 0, 0)
    taken = list(in_order(lines))
    assert taken == [
        key * 10 + number
        for _, key, number in sorted((-(key % 3), key, number) for number, some in enumerate(sets) for key in some)
    ]
    assert all(len(line) == 0 for line in lines)


def test_the_one_that_nobody_took_stays() -> None:
    line = Line()
    for key in range(5):
        line.put(key, (0, key, 0), 0, 0)
    for key in in_order([line]):
        if key == 2:
            break
    assert line.first() == ((0, 2, 0), 2)


def test_entries_that_no_longer_hold_take_no_room() -> None:
    """F3: a timer set anew at every checkpoint must not fill the heap."""
    schedule, line = Schedule(), Line()
    for number in range(10_000):
        schedule.put(1, 1_000_000 + number)
        line.put(1, (0, 1, 0), 0, 0)
        line.remove(1)
    assert len(schedule._heap) < 200
    assert len(line._heap) < 200
