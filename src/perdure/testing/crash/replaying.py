"""Does a stored history lead today's code to the same end? Asked in this process, and in new ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from perdure.app import App
from perdure.backends.event_rows import decode_events
from perdure.backends.memory.reading import instance_of
from perdure.backends.memory.tables import Tables
from perdure.engine.ending import end_of
from perdure.model.event import EndEvent, ExecutionCompleted
from perdure.model.instance import Instance
from perdure.replay.comparing import execution_of
from perdure.serialization.saved import SavedHistory


def histories_of(tables: Tables) -> Iterator[SavedHistory]:
    """Those of all executions of a store, oldest first."""
    for row in tables.instances.values():
        instance = instance_of(row)
        for past in row.past:
            yield _history(instance, past.execution_id, past.history)
        yield _history(instance, row.execution_id, row.history)


def _history(instance: Instance, execution_id: bytes, rows: Sequence[tuple[int, bytes]]) -> SavedHistory:
    events = tuple(each.event for _, encoded in rows for each in decode_events(0, encoded))
    return SavedHistory.of(instance, execution_id.hex(), events)


def problem_of_replay(app: App, history: SavedHistory) -> str | None:
    """Why replay of it isn't clean; None if it is."""
    if history.started is None:
        return None  # it ended before its first workflow task
    execution = execution_of(history, app.workflows[history.workflow], app, outlasts_end=True)
    try:
        execution.replay(history.events)
        recorded = next((event for event in reversed(history.events) if isinstance(event, EndEvent)), None)
        if execution.has_swallowed_cancel:
            return (
                f"{history.workflow} was cancelled, and completed: it swallowed the CancelledError. If it is meant to complete, "
                "leave such runs out: cancel=False"
            )
        main = execution._core.main
        if isinstance(recorded, ExecutionCompleted) and main is not None:
            reached = end_of(execution._core, main)
            if reached != recorded:
                return f"{history.workflow} gives another result in replay: {_shown(reached)} instead of {_shown(recorded)}"
        return None
    except Exception as problem:
        return f"{history.workflow} doesn't replay: {problem}"
    finally:
        execution.close()


def is_left_waiting(app: App, history: SavedHistory) -> bool:
    """Whether the code was cancelled and goes on as if nothing were."""
    if history.started is None:
        return False
    execution = execution_of(history, app.workflows[history.workflow], app)
    try:
        execution.replay(history.events)
        main = execution._core.main
        return execution._core.marked_at >= 0 and main is not None and not main.done() and not main._owes
    finally:
        execution.close()


def _shown(end: object) -> str:
    result = getattr(end, "result", None)
    return repr(end) if result is None else str(result.decode(errors="replace"))
