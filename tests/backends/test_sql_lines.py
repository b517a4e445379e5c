"""What is guessed of lines: that nobody stands there, as long as nothing says otherwise."""

from __future__ import annotations

from perdure.backends.rows import READY, WAITING, ActivityRow
from perdure.backends.sql.lines import Line, Lines
from perdure.backends.unit.changes import Changes

LINE: Line = ("activities", "q")


def empty(*, first_at: int | None = None) -> Lines:
    lines = Lines()
    lines.looked(LINE, 100, first_at, is_ready=False)
    return lines


def with_activity(phase: int, due_at: int, queue: str = "q") -> Changes:
    changes = Changes()
    row = ActivityRow(1, 1, 1, 1, "a", queue, 0, due_at, due_at, None, 0, b"", phase=phase)
    changes.activities[row.key] = row
    return changes


def test_nothing_is_guessed_without_a_look() -> None:
    assert not Lines().take_for_empty(LINE, 100)


def test_a_line_seen_empty_stays_so_until_the_first_is_due() -> None:
    lines = empty(first_at=200)
    assert lines.take_for_empty(LINE, 199)
    assert not lines.take_for_empty(LINE, 200)
    assert not lines.take_for_empty(("instances", "q"), 199)
    assert empty().take_for_empty(LINE, 1 << 60)


def test_what_a_batch_took_for_empty_is_told_once() -> None:
    lines = empty()
    lines.take_for_empty(LINE, 150)
    assert lines.taken() == [("activities", "q", 150)]
    assert lines.taken() == []
    lines.take_for_empty(LINE, 150)
    lines.batch_ended()
    assert lines.taken() == []


def test_who_is_put_there_is_known() -> None:
    lines = empty()
    lines.written(with_activity(READY, 100, queue="another"))
    assert lines.take_for_empty(LINE, 150)
    lines.written(with_activity(WAITING, 200))
    assert lines.take_for_empty(LINE, 199)
    assert not lines.take_for_empty(LINE, 200)
    lines.written(with_activity(READY, 100))
    assert not lines.take_for_empty(LINE, 150)


def test_where_somebody_stood_it_is_asked_for_a_second() -> None:
    lines = Lines()
    lines.looked(LINE, 100, None, is_ready=True)
    lines.looked(LINE, 200, None, is_ready=False)
    assert not lines.take_for_empty(LINE, 200)
    lines.looked(LINE, 1_000_100, None, is_ready=False)
    assert lines.take_for_empty(LINE, 1_000_100)


def test_a_wrong_guess_forgets_all() -> None:
    lines = empty()
    lines.take_for_empty(LINE, 150)
    lines.forget()
    assert lines.taken() == []
    assert not lines.take_for_empty(LINE, 150)
