"""Where bars are on the axis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from perdure.diagnostics.views.timeline import Bar, BarKind, BarState, Timeline
from perdure.diagnostics.web.drawing import drawn

BEGIN = datetime(2026, 7, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def bar(begin: float, end: float | None) -> Bar:
    stands = BarState.OPEN if end is None else BarState.COMPLETED
    return Bar(
        kind=BarKind.TIMER,
        state=stands,
        label="timer",
        begin=at(begin),
        end=None if end is None else at(end),
        positions=(),
    )


def timeline(*bars: Bar, end: float = 100) -> Timeline:
    return Timeline(bars=bars, first=0, total=len(bars), begin=BEGIN, end=at(end), is_open=True)


def test_bars_are_where_their_time_is() -> None:
    done, still = drawn(timeline(bar(25, 75), bar(90, None))).bars

    assert (done.x, done.width, done.began, done.took, done.is_open) == ("25%", "50%", "+25 s", "50 s", False)
    assert (still.x, still.width, still.is_open) == ("90%", "10%", True)


def test_what_took_no_time_is_a_point() -> None:
    [point] = drawn(timeline(bar(50, 50))).bars

    assert (point.x, point.width, point.took) == ("50%", "", "")


def test_ticks_stand_at_round_times() -> None:
    assert [tick.label for tick in drawn(timeline(end=95)).ticks] == ["+30 s", "+1 min", "+1 min 30 s"]
    assert [tick.x for tick in drawn(timeline(end=90)).ticks][-1] == "100%"


def test_evenly_spaced_short_steps_are_as_wide_as_long_waits() -> None:
    first, wait, last = drawn(timeline(bar(0, 1), bar(1, 99), bar(99, 100)), "even").bars

    assert first.width == wait.width == last.width == "33.333%"


def test_what_has_not_begun_has_no_bars() -> None:
    nothing = Timeline(bars=(), first=0, total=0, begin=None, end=BEGIN, is_open=True)

    assert drawn(nothing).bars == ()


def test_an_execution_of_no_length_can_be_drawn() -> None:
    assert [each.x for each in drawn(timeline(bar(0, 0), end=0)).bars] == ["0%"]
