"""How a run is drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from perdure.cli.timelines import timeline_lines
from perdure.diagnostics.views.timeline import Bar, BarKind, BarState, Timeline

BEGIN = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


def bar(kind: str, label: str, begin: float, end: float | None, state: str = "completed", **more: Any) -> Bar:
    ends = None if end is None else BEGIN + timedelta(seconds=end)
    begins = BEGIN + timedelta(seconds=begin)
    return Bar(kind=BarKind(kind), state=BarState(state), label=label, begin=begins, end=ends, positions=(), **more)


def timeline(*bars: Bar, begin: datetime | None = BEGIN, seconds: float = 40) -> Timeline:
    end = BEGIN + timedelta(seconds=seconds)
    return Timeline(bars=bars, first=0, total=len(bars), begin=begin, end=end, is_open=True)


def drawn(*bars: Bar, width: int | None = None, encoding: str = "utf-8") -> list[str]:
    lines = timeline_lines(timeline(*bars), width=width, encoding=encoding)
    return ["".join(text for text, _ in line).rstrip() for line in lines]


WORKFLOW = bar("workflow", "checkout", 0, None, "open")


def test_bars_stand_where_they_were_in_time() -> None:
    lines = drawn(
        WORKFLOW,
        bar("activity", "charge", 0, 10, number=1),
        bar("activity", "ship", 10, None, "retrying", number=2, attempts=3, detail="ValueError: no"),
        bar("signal", "approval", 20, 20),
        bar("timer", "timer", 20, 30, "cancelled"),
        bar("sub_workflow", "invoice", 30, None, "open", instance_id="order-7-invoice"),
    )

    assert lines == [
        "                        2026-11-23 08:30:00 UTC            +40 s",
        "checkout                ╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍  40 s, open",
        "  1 charge              ━━━━━━━━━━━                               10 s",
        "  2 ship                          ╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍╍  30 s, retrying, attempt 3: ValueError: no",
        "  signal approval                           ◆",
        "  timer                                     ───────────           10 s, cancelled",
        "  sub-workflow invoice                                ╍╍╍╍╍╍╍╍╍╍  10 s, open: order-7-invoice",
    ]


def test_it_fits_a_terminal() -> None:
    failed = bar("activity", "a" * 60, 0, 10, "failed", number=1, detail="ValueError: " + "no " * 50)

    for width in (60, 80, 120):
        lines = drawn(WORKFLOW, failed, width=width)
        assert max(map(len, lines)) <= width
        assert lines[2].endswith("…")
    assert "no no" in drawn(WORKFLOW, failed)[2]


def test_of_many_the_newest_are_drawn() -> None:
    lines = drawn(WORKFLOW, *(bar("activity", "charge", 0, 1, number=number) for number in range(1, 101)))

    assert lines[2] == "  … 61 earlier"
    assert len(lines) == 42
    assert lines[3].startswith("  62 charge")


def test_a_terminal_without_such_letters_gets_plain_ones() -> None:
    lines = drawn(WORKFLOW, bar("signal", "go", 20, 20), encoding="ascii")

    assert "\n".join(lines).isascii()


def test_what_a_terminal_would_obey_is_shown() -> None:
    assert "\\x1b[31m" in drawn(bar("workflow", "\x1b[31mred", 0, None, "open"))[1]


def test_what_took_no_time_is_drawn_all_the_same() -> None:
    now = timeline(bar("workflow", "quick", 0, 0), seconds=0)

    assert "◆" in "".join(text for text, _ in timeline_lines(now)[1])
    assert timeline_lines(timeline(begin=None)) == []
