"""Does a stored history lead today's code to the same end? Asked in this process, and in new ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from perdure.app import App
from perdure.backends.event_rows import decode_events
from perdure.backends.memory.rows import InstanceRow
from perdure.backends.memory.tables import Tables
from perdure.engine.ending import end_of
from perdure.engine.execution import Execution
from perdure.model.event import AdministrativeEvent, EndEvent, Event, ExecutionCompleted, ExecutionStarted
from perdure.model.instance import Parent
from perdure.model.task import WorkflowTask


class StoredExecution(msgspec.Struct, frozen=True):
    """What it takes to replay one."""

    instance_id: str
    execution_id: bytes
    workflow: str
    queue: str
    version: str | None
    parent: Parent | None
    created_at: int
    rows: list[bytes]
    """Of its history."""

    def events(self) -> list[Event]:
        return [each.event for row in self.rows for each in decode_events(0, row)]


def stored_executions(tables: Tables) -> Iterator[StoredExecution]:
    """All of a store, oldest first."""
    for row in tables.instances.values():
        for past in row.past:
            yield _stored(row, past.execution_id, past.history)
        yield _stored(row, row.execution_id, row.history)


def _stored(row: InstanceRow, execution_id: bytes, history: Sequence[tuple[int, bytes]]) -> StoredExecution:
    rows = [encoded for _, encoded in history]
    workflow = row.workflow
    stored = StoredExecution(
        row.instance_id, execution_id, workflow, row.queue, row.version, row.parent, row.created_at, rows
    )
    started = next((event for event in stored.events() if isinstance(event, ExecutionStarted)), None)
    return stored if started is None else msgspec.structs.replace(stored, workflow=started.workflow)


def problem_of_replay(app: App, stored: StoredExecution) -> str | None:
    """Why replay of it isn't clean; None if it is."""
    events = stored.events()
    if not any(isinstance(event, ExecutionStarted) for event in events):
        return None  # it ended before its first workflow task
    execution = Execution(_task(stored), app.workflows[stored.workflow], app, outlasts_end=True)
    try:
        execution.replay(events)
        recorded = next((event for event in reversed(events) if isinstance(event, EndEvent)), None)
        if execution.has_swallowed_cancel:
            return (
                f"{stored.workflow} was cancelled, and completed: it swallowed the CancelledError. If it is meant to complete, "
                "leave such runs out: cancel=False"
            )
        main = execution._core.main
        if isinstance(recorded, ExecutionCompleted) and main is not None:
            reached = end_of(execution._core, main)
            if reached != recorded:
                return (
                    f"{stored.workflow} gives another result in replay: {_shown(reached)} instead of {_shown(recorded)}"
                )
        return None
    except Exception as problem:
        return f"{stored.workflow} doesn't replay: {problem}"
    finally:
        execution.close()


def is_left_waiting(app: App, stored: StoredExecution) -> bool:
    """Whether the code was cancelled and goes on as if nothing were."""
    events = [event for event in stored.events() if not isinstance(event, AdministrativeEvent)]
    if not events:
        return False
    execution = Execution(_task(stored), app.workflows[stored.workflow], app)
    try:
        execution.replay(events)
        main = execution._core.main
        return execution._core.marked_at >= 0 and main is not None and not main.done() and not main._owes
    finally:
        execution.close()


def _shown(end: object) -> str:
    result = getattr(end, "result", None)
    return repr(end) if result is None else str(result.decode(errors="replace"))


def _task(stored: StoredExecution) -> WorkflowTask:
    return WorkflowTask(
        instance_key=0,
        instance_id=stored.instance_id,
        execution_id=stored.execution_id,
        workflow=stored.workflow,
        queue=stored.queue,
        priority=0,
        version=stored.version,
        parent=stored.parent,
        token=0,
        position=0,
        history_bytes=0,
        now=0,
        pending=(),
        created_at=stored.created_at,
    )
