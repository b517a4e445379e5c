"""An instance in words: its facts, what is under way, its events."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from perdure.cli.ending import told
from perdure.cli.shown import as_data, at, printable
from perdure.cli.tables import Line, encoding, fact_lines, table_lines, terminal_width
from perdure.cli.timelines import timeline_lines
from perdure.diagnostics.views.timeline import Timeline
from perdure.diagnostics.views.where import Where
from perdure.model.inspection import HistoryEvent, PendingActivity
from perdure.model.instance import Instance, Outcome
from perdure.serialization.payloads import Payloads

ACTIVITIES_HEAD = ("number", "activity", "queue", "attempt", "due", "worker", "last failure")
EVENTS_HEAD = ("position", "event", "what")


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """All that `show` writes."""

    instance: Instance
    outcome: Outcome | None
    activities: Sequence[PendingActivity]
    where: Where
    timeline: Timeline
    history: Sequence[HistoryEvent] | None


def lines_of(shown: Shown, payloads: Payloads) -> list[Line]:
    """The facts and what is under way, for a picture that changes."""
    lines = [*fact_lines(facts_of(shown, payloads)), "", *where_lines(shown.where)]
    if shown.activities:
        lines += ["", *table_lines(ACTIVITIES_HEAD, [[printable(cell) for cell in row] for row in waiting_rows(shown)])]
    return [[(line, "")] for line in [*lines, ""]] + bars_of(shown)


def where_lines(where: Where) -> list[str]:
    """What it waits for, and in which lines of its code."""
    places = [line for place in where.places for line in str(place).splitlines()]
    problem = where.problem.splitlines()
    return [printable(where.summary), *(f"    {printable(line)}" for line in [*places, *problem])]


def bars_of(shown: Shown) -> list[Line]:
    """The timeline, as wide as the terminal."""
    return timeline_lines(shown.timeline, width=terminal_width(), encoding=encoding())


def standing_of(instance: Instance) -> str:
    also = [word for word, holds in (("stuck", instance.stuck), ("suspended", instance.suspended)) if holds]
    return f"{instance.state} ({', '.join(also)})" if also else instance.state.value


def facts_of(shown: Shown, payloads: Payloads) -> list[tuple[str, str]]:
    instance = shown.instance
    facts: list[tuple[str, object]] = [
        ("instance", instance.instance_id),
        ("workflow", instance.workflow),
        ("state", standing_of(instance)),
        ("queue", instance.queue),
        ("priority", instance.priority),
        ("tags", ", ".join(f"{name}={value}" for name, value in instance.tags.items())),
        ("version", instance.version),
        ("parent", instance.parent and instance.parent.instance_id),
        ("execution", f"{instance.execution_id} (number {instance.execution_number})"),
        ("created", at(instance.created_at)),
        ("updated", at(instance.updated_at)),
        ("deadline", instance.deadline_at and at(instance.deadline_at)),
        ("due", instance.due_at and at(instance.due_at)),
        ("ended", instance.ended_at and at(instance.ended_at)),
        ("removed", instance.remove_at and at(instance.remove_at)),
        ("events", f"{instance.history_length} ({instance.history_bytes:,} bytes)"),
        ("worker", instance.worker),
        *_ending(shown.outcome, payloads),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _ending(outcome: Outcome | None, payloads: Payloads) -> list[tuple[str, object]]:
    if outcome is None:
        return []
    if outcome.result is not None:
        return [("result", _compact(as_data(outcome.result, payloads, "result")))]
    if outcome.failure is not None:
        return [("failure", told(outcome.failure))]
    return [("reason", outcome.reason)]


def waiting_rows(shown: Shown) -> list[tuple[str, ...]]:
    return [
        (
            str(each.number),
            each.name,
            each.queue,
            str(each.attempt),
            at(each.due_at),
            each.worker or ("completed from outside" if each.is_open else ""),
            "" if each.last_failure is None else told(each.last_failure),
        )
        for each in shown.activities
    ]


def event_row(event: HistoryEvent, payloads: Payloads) -> tuple[str, ...]:
    data = as_data(event, payloads)
    position, kind = str(data.pop("position")), data.pop("event")
    said = [f"{name}={_compact(value)}" for name, value in data.items() if value not in (None, "", [], {})]
    return (position, kind, " ".join(said))


def _compact(value: object) -> str:
    return printable(msgspec.json.encode(value).decode())
