"""A timeline as shapes: where bars begin and end on an axis, in percent of its width."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec

from perdure.diagnostics.views.timeline import Bar, Timeline
from perdure.diagnostics.web.texts import duration

Scale = Literal["time", "even"]
"""`even`: each moment at which something happened is as far from the next one, however long it took."""

_MOST_TICKS = 6
_STEPS = [
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(86400 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
]


class Tick(msgspec.Struct, frozen=True):
    x: str
    label: str


class DrawnBar(msgspec.Struct, frozen=True, kw_only=True):
    """A bar, or a point (`width` is empty then)."""

    bar: Bar
    x: str
    width: str
    began: str
    """After the begin of the execution."""
    took: str
    """So far, while it is open."""
    is_open: bool


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    bars: tuple[DrawnBar, ...]
    ticks: tuple[Tick, ...]
    took: str


def drawn(timeline: Timeline, scale: Scale = "time") -> Drawing:
    """The bars that the timeline has, on an axis from its begin to its end."""
    begin = timeline.begin
    if begin is None:
        return Drawing(bars=(), ticks=(), took="")
    length = max((timeline.end - begin).total_seconds(), 1e-6)
    place, ticks = _evenly(timeline, begin) if scale == "even" else _to_scale(begin, length)
    return Drawing(
        bars=tuple(_bar(bar, begin, timeline.end, place) for bar in timeline.bars), ticks=ticks, took=duration(length)
    )


Place = Callable[[datetime], float]


def _bar(bar: Bar, begin: datetime, now: datetime, place: Place) -> DrawnBar:
    end = now if bar.end is None else bar.end
    left, right = place(bar.begin), place(end)
    is_point = bar.end == bar.begin
    return DrawnBar(
        bar=bar,
        x=_percent(left),
        width="" if is_point else _percent(max(right - left, 0)),
        began=f"+{duration(max((bar.begin - begin).total_seconds(), 0))}",
        took="" if is_point else duration(max((end - bar.begin).total_seconds(), 0)),
        is_open=bar.end is None,
    )


def _to_scale(begin: datetime, length: float) -> tuple[Place, tuple[Tick, ...]]:
    step = next((each for each in _STEPS if length / each <= _MOST_TICKS), _STEPS[-1])
    count = min(int(length / step), _MOST_TICKS)
    ticks = tuple(Tick(_percent(index * step / length), f"+{duration(index * step)}") for index in range(1, count + 1))
    return (lambda at: min(max((at - begin).total_seconds() / length, 0), 1)), ticks


def _evenly(timeline: Timeline, begin: datetime) -> tuple[Place, tuple[Tick, ...]]:
    moments = sorted(
        {begin, timeline.end, *(bar.begin for bar in timeline.bars), *(bar.end for bar in timeline.bars if bar.end)}
    )
    last = max(len(moments) - 1, 1)
    shown = range(0, len(moments), max(1, -(-len(moments) // _MOST_TICKS)))
    ticks = tuple(
        Tick(_percent(index / last), f"+{duration(max((moments[index] - begin).total_seconds(), 0))}")
        for index in shown
        if index
    )
    return (lambda at: min(bisect_left(moments, at) / last, 1)), ticks


def _percent(share: float) -> str:
    return f"{100 * share:.3f}".rstrip("0").rstrip(".") + "%"
