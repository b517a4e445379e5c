"""The report that is read: a table for each case, with the settings under which its figures were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.case import Case
from benchmarks.outcome import Contestant, Outcome
from benchmarks.report.summary import Beside, Row, Verdict

_ABOUT_PEERS = (
    "Peers run in their own environments and check themselves; each gets three workflows to warm up, perdure none. Each does "
    "as much as takes some seconds, with as many in flight as it is fastest with; rates are compared. `we are` compares one "
    "that isn't durable with perdure in memory. In idle_latency everybody has rested for 10 ms before each workflow. `not run here` is what "
    "others published or was measured another day elsewhere; its ratio is a hint."
)
_EXTRAS = {
    "us CPU": "cpu_us_per_unit",
    "commits": "commits_per_unit",
    "peak MB": "peak_rss_mb",
    "sync ms": "disk_sync_ms",
}
"""Columns beside the headline: CPU and commits per unit, the process's peak of memory, a sync on the disk right after."""


def print_report(
    console: Console,
    cases: Sequence[Case],
    contestants: Sequence[Contestant],
    outcomes: Sequence[Outcome],
    rows: Sequence[Row],
) -> None:
    """Case by case; then what has to be known of the peers."""
    for case in cases:
        of_case = [outcome for outcome in outcomes if outcome.case == case.name]
        if of_case:
            console.print(_of_case(case, of_case, [row for row in rows if row.case == case.name]))
    notes = [_ABOUT_PEERS] if any(each.is_peer for each in contestants) else []
    notes += [
        f"{each.name}: durability: {each.durability}; differs: {each.differs}" for each in contestants if each.is_peer
    ]
    for note in notes:
        console.print(Text(note))


def _of_case(case: Case, outcomes: Sequence[Outcome], rows: Sequence[Row]) -> RenderableType:
    table = Table(title=f"{case.name}: {case.summary}", title_justify="left", title_style="bold")
    for column in ("figure", "who"):
        table.add_column(column, no_wrap=True)
    for column in ("median", "from", "to", *_EXTRAS, "we are"):
        table.add_column(column, justify="right")
    table.add_column("target")
    has_others = any(row.not_run_here for row in rows)
    if has_others:
        table.add_column("not run here")
    last = ""
    for row in rows:
        if last and row.figure != last:
            table.add_section()
        is_headline = row.figure == case.measures[0].figure
        extras = _extras(outcomes, row.contestant) if is_headline else ("",) * len(_EXTRAS)
        times = "" if row.times_ours is None else f"{row.times_ours:.3g} x ({row.times_ours_on})"
        figure = f"{row.figure}, {row.unit}" if row.figure != last else ""
        last = row.figure
        table.add_row(
            figure,
            row.contestant,
            number(row.median),
            number(row.least),
            number(row.most),
            *extras,
            times,
            Text(", ").join(_verdict(each) for each in row.verdicts),
            *([", ".join(map(_beside, row.not_run_here))] if has_others else []),
        )
    return Group(table, *(Text(f"  {note}", style="dim") for note in _notes(outcomes)), Text(""))


def number(value: float) -> str:
    """Three digits, or all that stand before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _extras(outcomes: Sequence[Outcome], contestant: str) -> tuple[str, ...]:
    """Of the last run."""
    figures = next((each.figures for each in reversed(outcomes) if each.contestant == contestant and each.figures), {})
    return tuple(number(figures[name]) if name in figures else "" for name in _EXTRAS.values())


def _verdict(verdict: Verdict) -> Text:
    value = "" if verdict.wanted.startswith(("≥", "≤")) and "×" not in verdict.wanted else f" ({verdict.value:.3g})"
    return Text(
        f"{verdict.wanted}{value} {'met' if verdict.is_met else 'MISSED'}", "green" if verdict.is_met else "red"
    )


def _beside(other: Beside) -> str:
    return f"{other.who} {between(other.least, other.most)}: {other.times:.3g} x"


def between(least: float, most: float) -> str:
    """A range, or one number."""
    return number(least) if least == most else f"{number(least)}-{number(most)}"


def _notes(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for each contestant: how much it did, under which settings, and who checked it; or why it did nothing."""
    notes: dict[str, str] = {}
    for each in outcomes:
        if each.skipped:
            notes[each.contestant] = f"{each.contestant}: skipped: {each.skipped}"
        else:
            checked = {name: value for name, value in each.verified.items() if name != "by"}
            notes[each.contestant] = (
                f"{each.contestant}: {_listed(each.scale)}; {_listed(each.settings)}; "
                f"checked by {each.verified.get('by', 'nobody')} {_listed(checked)}".rstrip()
            )
    return list(notes.values())


def _listed(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())
