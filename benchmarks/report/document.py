"""The figures of a run as sections of a Markdown document: what stands between two marks is written anew.

    <!-- figures: rates -->
    …
    <!-- end of figures -->

A run that has nothing for a section leaves it as it is, so that runs of different cases can fill one document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.case import REMOTE_STORES
from benchmarks.outcome import Outcome
from benchmarks.report.summary import Row
from benchmarks.report.table import between, number
from benchmarks.stores import KINDS

_SECTION = re.compile(r"(<!-- figures: (\S+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)

_OF_STORES = {
    ("two_workers", "rate"): "workflows of one activity, two processes, 200 in flight",
    ("one_activity", "rate"): "workflows of one activity, one process, 200 in flight",
    ("steps_in_a_row", "rate"): "steps of one workflow, one after the other",
    ("tree", "rate"): "workflows in a tree of sub-workflows",
    ("start_only", "rate"): "starts, run later",
    ("full_store", "rate"): "workflows of one activity in a full store",
    ("full_store", "full_to_empty"): "the rate in a full store, to that in an empty one",
}
_TIMES_OF_STORES = {
    ("idle_latency", "p50_ms"): "a workflow of one activity, nothing else going on, p50",
    ("signal_elsewhere", "p50_ms"): "a signal to a workflow that waits in another process, until it is there, p50",
    ("signal_elsewhere", "p99_ms"): "a signal to a workflow that waits in another process, until it is there, p99",
    (
        "signal_elsewhere",
        "p50_ms_to_end",
    ): "a signal to a workflow that waits in another process, until its result is known, p50",
}
_CPU_OF_STORES = {("one_activity", "cpu_us_per_unit"): "CPU of the worker's process for a workflow of one activity, µs"}
_OF_LIBRARIES = {
    ("one_activity", "rate"): "workflows of one activity, 200 in flight",
    ("ten_in_a_row", "rate"): "workflows of ten activities in a row",
    ("steps_in_a_row", "rate"): "steps of one workflow, one after the other",
    ("fan_out", "rate"): "activities of one workflow, 1,000 side by side",
    ("tree", "rate"): "workflows in a tree of sub-workflows",
    ("start_only", "rate"): "starts, run later",
    ("idle_latency", "p50_ms"): "milliseconds of a workflow of one activity, nothing else going on",
}
_LIBRARIES = {
    "perdure, sqlite": "perdure, SQLite",
    "perdure, memory": "perdure, memory",
    "dbos": "DBOS",
    "durabletask": "durabletask",
    "unhinged": "unhinged",
    "edda": "edda",
    "prefect": "Prefect",
    "floor": "the least",
}
_ONLY_OF_LIBRARIES = {"durabletask", "unhinged", "edda", "prefect"}
_ON_SERVERS = {f"perdure, {store}" for store in REMOTE_STORES}
_SETTINGS_LEFT_OUT = {
    "max_workflow_tasks", "max_activities", "execution_cache", "in_flight", "in_flight_of_each", "processes", "pause_ms",
    "ended", "waiting",
}  # fmt: skip
"""Of the cases, not of the stores."""

Titles = Mapping[tuple[str, str], str]


def filled(text: str, sections: Mapping[str, str]) -> str:
    """The document with these sections in it. Raises ValueError if it has no place for one."""
    missing = sorted(set(sections) - {name for _, name, _ in _SECTION.findall(text)})
    if missing:
        raise ValueError(f"the document has no section {', '.join(missing)}")
    return _SECTION.sub(lambda found: found[1] + sections.get(found[2], _old(found)) + found[3], text)


def _old(found: re.Match[str]) -> str:
    return found[0][len(found[1]) : -len(found[3])]


def sections(facts: Mapping[str, Any], outcomes: Sequence[Outcome], rows: Sequence[Row]) -> dict[str, str]:
    """Those that this run has something for."""
    made: dict[str, str] = {}
    if any(row.contestant in _ON_SERVERS for row in rows):
        made = {
            "machine": _machine(facts, rows),
            "rates": _by_store(rows, _OF_STORES),
            "times": _by_store(rows, _TIMES_OF_STORES),
            "beside": _beside(rows),
            "settings": _settings(outcomes),
            "cpu": _by_store(rows, _CPU_OF_STORES),
        }
    if any(row.contestant in _ONLY_OF_LIBRARIES for row in rows):
        made |= {"libraries-machine": _machine(facts, rows), "libraries": _libraries(rows)}
    return {name: text for name, text in made.items() if text}


def _machine(facts: Mapping[str, Any], rows: Sequence[Row]) -> str:
    runs = max((row.runs for row in rows), default=0)
    return (
        f"{facts['cores']} cores ({facts['processor']}), {facts['python']}, {facts['disk']}; {facts['began_at']}, "
        f"load before {facts['load']}; rounds: {runs}.\n"
    )


def _by_store(rows: Sequence[Row], titles: Titles) -> str:
    stores = [name for name in KINDS if any(row.contestant == f"perdure, {name}" for row in rows)]
    return _table(
        ["", *stores],
        ([title, *(_figure(rows, key, f"perdure, {store}") for store in stores)] for key, title in titles.items()),
    )


def _libraries(rows: Sequence[Row]) -> str:
    there = {name: title for name, title in _LIBRARIES.items() if any(row.contestant == name for row in rows)}
    return _table(
        ["", *there.values()],
        ([title, *(_figure(rows, key, name) for name in there)] for key, title in _OF_LIBRARIES.items()),
    )


def _beside(rows: Sequence[Row]) -> str:
    """A line for each headline and store: what was aimed at, and how many times as good as others we are."""
    titles = {**_OF_STORES, **_TIMES_OF_STORES}
    lines = []
    for row in sorted((row for row in rows if _key(row) in titles), key=lambda row: [*titles].index(_key(row))):
        if row.is_peer:
            continue
        store = row.contestant.removeprefix("perdure, ")
        targets = ", ".join(f"{each.wanted}: {'met' if each.is_met else 'missed'}" for each in row.verdicts)
        peers = [each for each in rows if _is_beside(each, row, store)]
        dbos, least = (_ratio(peers, start) for start in ("dbos", "floor"))
        others = ", ".join(
            f"{each.who} {between(each.least, each.most)}: {number(each.times)} ×" for each in row.not_run_here
        )
        if targets or dbos or least or others:
            lines.append([titles[_key(row)], store, f"{number(row.median)} {row.unit}", targets, dbos, least, others])
    return _table(["", "store", "perdure", "aimed at", "DBOS there", "the least there", "not run here"], lines)


def _key(row: Row) -> tuple[str, str]:
    return row.case, row.figure


def _is_beside(peer: Row, own: Row, store: str) -> bool:
    return (peer.is_peer, peer.case, peer.figure, peer.times_ours_on) == (True, own.case, own.figure, store)


def _ratio(peers: Iterable[Row], start: str) -> str:
    for peer in peers:
        if peer.contestant.startswith(start) and peer.times_ours is not None:
            return f"{number(peer.median)}: {number(peer.times_ours)} ×"
    return ""


def _settings(outcomes: Sequence[Outcome]) -> str:
    """What each store said of itself, in its last run."""
    lines = []
    for store in KINDS:
        found = next(
            (each for each in reversed(outcomes) if each.contestant == f"perdure, {store}" and each.settings), None
        )
        if found is not None:
            told = {name: value for name, value in found.settings.items() if name not in _SETTINGS_LEFT_OUT}
            lines.append([store, " ".join(f"`{name}={value}`" for name, value in told.items())])
    return _table(["store", "as it answered in this run"], lines)


def _figure(rows: Iterable[Row], key: tuple[str, str], contestant: str) -> str:
    for row in rows:
        if (row.case, row.figure) == key and row.contestant == contestant:
            return number(row.median) + (f" ±{row.spread:.0%}" if row.runs > 1 else "")
    return ""


def _table(heading: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Without lines that have a title alone; nothing if none is left."""
    told = [line for line in lines if any(line[1:])]
    text = [_line(heading), _line(["---"] * len(heading)), *map(_line, told)]
    return "\n".join(text) + "\n" if told else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
