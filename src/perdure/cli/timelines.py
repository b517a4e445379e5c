"""A run as bars, in a terminal: what took how long, and what is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from perdure.cli.shown import length_of, printable
from perdure.cli.tables import Line
from perdure.diagnostics.views.timeline import Bar, Timeline

_MOST = 40
_LONGEST_LABEL = 36
_BARS = 40
_TAIL = 24
_MARKS = {"point": "◆", "done": "━", "open": "╍", "else": "─", "cut": "…"}
_PLAIN_MARKS = {"point": "*", "done": "=", "open": "-", "else": ".", "cut": "~"}
_NAMED: Mapping[str, str] = {
    "sub_workflow": "sub-workflow {}",
    "signal": "signal {}",
    "signal_sent": "signal {} sent",
    "update": "update {}",
    "side_effect": "side effect {}",
    "patch": "patch {}",
}
_STYLES = {
    "completed": "green",
    "failed": "red",
    "open": "cyan",
    "retrying": "magenta",
    "cancelled": "yellow",
    "terminated": "red",
}


def timeline_lines(timeline: Timeline, *, width: int | None = None, encoding: str = "utf-8") -> list[Line]:
    """The newest bars below the workflow's own. Nothing is cut off without a `width`."""
    if timeline.begin is None or not timeline.bars:
        return []
    drawing = _Drawing(timeline.begin, timeline.end, [_label(bar) for bar in timeline.bars], width, _marks(encoding))
    shown = [timeline.bars[0], *timeline.bars[1:][-_MOST + 1 :]]
    lines = [drawing.line(bar) for bar in shown]
    left_out = len(timeline.bars) - len(shown)
    if left_out:
        lines.insert(1, [(f"  … {left_out:,} earlier", "dim")])
    return [drawing.axis(), *lines]


class _Drawing:
    def __init__(
        self, begin: datetime, end: datetime, labels: Sequence[str], width: int | None, marks: Mapping[str, str]
    ) -> None:
        self._begin = begin
        self._end = end
        self._seconds = (end - begin).total_seconds()
        self._width = width
        self._marks = marks
        self._label = min(max(map(len, labels)), _LONGEST_LABEL if width is None else min(_LONGEST_LABEL, width // 3))
        self._bars = _BARS if width is None else max(10, min(_BARS, width - self._label - _TAIL))

    def axis(self) -> Line:
        begin, length = f"{self._begin:%Y-%m-%d %H:%M:%S} UTC", f"+{length_of(self._end - self._begin)}"
        return [(" " * (self._label + 2), ""), (f"{begin} {length:>{max(0, self._bars - len(begin) - 1)}}", "dim")]

    def line(self, bar: Bar) -> Line:
        style = _STYLES.get(bar.state, "dim")
        label = self._cut(_label(bar), self._label).ljust(self._label)
        tail = _tail(bar, self._end)
        if self._width is not None:
            tail = self._cut(tail, max(0, self._width - self._label - self._bars - 4))
        return [(f"{label}  ", ""), (self._bar(bar).ljust(self._bars), style), ("  ", ""), (tail, "")]

    def _bar(self, bar: Bar) -> str:
        first = self._place(bar.begin)
        if bar.end is not None and bar.end == bar.begin:
            return " " * first + self._marks["point"]
        last = self._place(bar.end or self._end)
        kind = {"completed": "done", "failed": "done", "open": "open", "retrying": "open"}.get(bar.state, "else")
        return " " * first + self._marks[kind] * (last - first + 1)

    def _place(self, at: datetime) -> int:
        """Its column, from 0."""
        share = (at - self._begin).total_seconds() / self._seconds if self._seconds > 0 else 0.0
        return min(max(int(share * self._bars), 0), self._bars - 1)

    def _cut(self, text: str, width: int) -> str:
        return text if len(text) <= width else text[: max(0, width - 1)] + self._marks["cut"]


def _label(bar: Bar) -> str:
    if bar.kind == "workflow":
        return printable(bar.label)
    name = _NAMED.get(bar.kind, "{}").format(bar.label)
    return printable(f"  {bar.number} {name}" if bar.kind == "activity" and bar.number else f"  {name}")


def _tail(bar: Bar, now: datetime) -> str:
    """How long, how it stands, and why."""
    said = [] if bar.end == bar.begin else [length_of((bar.end or now) - bar.begin)]
    if bar.state != "completed":
        said.append(bar.state.replace("_", " "))
    if bar.attempts is not None and bar.attempts > 1:
        said.append(f"attempt {bar.attempts}")
    told = ", ".join(said)
    about = printable(bar.detail or (bar.instance_id if bar.kind in ("sub_workflow", "signal_sent") else ""))
    return ": ".join(each for each in (told, about) if each)


def _marks(encoding: str) -> Mapping[str, str]:
    """Those that the terminal can show."""
    try:
        "".join(_MARKS.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return _PLAIN_MARKS
    return _MARKS
