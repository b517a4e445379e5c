"""From when on a look begins: never behind anybody who may yet join the line."""

from __future__ import annotations

from perdure.backends.postgres.bounds import Bounds

SECOND = 1_000_000
NOW = 1_000_000 * SECOND


def looked(bounds: Bounds, seconds: float, *, oldest: int, following: int, first_at: int | None = None) -> int:
    """A look so long after NOW; how long ago is where the next one begins, in seconds, or -1: at the beginning."""
    now = NOW + round(seconds * SECOND)
    bounds.since("line")
    bounds.saw(now, oldest, following)
    bounds.found(now, "line", first_at)
    since = bounds.since("line")
    return (now - since) // SECOND if since else -1


def test_a_bound_waits_until_all_have_ended_that_were_writing() -> None:
    bounds = Bounds()
    assert looked(bounds, 0, oldest=10, following=15) == -1
    assert looked(bounds, 1, oldest=10, following=20) == -1
    assert looked(bounds, 2, oldest=14, following=20) == -1
    assert looked(bounds, 3, oldest=15, following=20) == 8
    assert looked(bounds, 4, oldest=15, following=25) == 9
    assert looked(bounds, 5, oldest=20, following=25) == 7


def test_a_bound_is_not_behind_who_stands_there() -> None:
    bounds = Bounds()
    looked(bounds, 0, oldest=10, following=10)
    assert looked(bounds, 50, oldest=10, following=10, first_at=NOW - 20 * SECOND) == 70


def test_once_a_minute_a_look_begins_at_the_beginning() -> None:
    bounds = Bounds()
    begins = [looked(bounds, second + 0.5, oldest=10, following=10) for second in range(190)]
    assert [second for second, begin in enumerate(begins) if begin == -1] == [0, 60, 121, 182]


def test_a_clock_that_goes_back_begins_anew() -> None:
    bounds = Bounds()
    looked(bounds, 0, oldest=10, following=10)
    assert looked(bounds, 1, oldest=10, following=10) == 6
    bounds.saw(NOW - 3_600 * SECOND, 10, 10)
    assert bounds.since("line") == 0


def test_so_does_a_new_connection() -> None:
    bounds = Bounds()
    looked(bounds, 0, oldest=10, following=10)
    looked(bounds, 1, oldest=10, following=10)
    bounds.forget()
    assert bounds.since("line") == 0
    assert looked(bounds, 2, oldest=10, following=10) == -1
