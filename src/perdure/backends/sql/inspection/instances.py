"""Instances as operators see them: one, a page of them, their number."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from perdure.backends.cursors import decode_cursor, encode_cursor
from perdure.backends.looking import not_found
from perdure.backends.rows import STATES, decode_failure
from perdure.backends.sql.filters import Condition, conditions
from perdure.backends.sql.session import Session
from perdure.clock import Micros, to_datetime
from perdure.model.inspection import InstanceFilter, Page, PendingActivity
from perdure.model.instance import Execution, Instance, Parent, State, Stuck

_decode_tags = msgspec.json.Decoder(dict[str, str]).decode

_COLUMNS = """i.key, i.instance_id, i.execution_id, i.execution_number, i.workflow, i.queue, i.state, i.created_at,
    i.updated_at, i.ended_at, i.priority, i.tags, i.version, i.deadline_at, i.parent_id, i.parent_execution,
    i.parent_number, i.position, i.history_bytes, i.suspended, i.stuck_reason, i.stuck_attempts, i.wake_at, i.remove_at, w.name"""
_FROM = "perdure_instances i left join perdure_workers w on w.key = i.worker"


def read_instance(session: Session, instance_id: str) -> Instance:
    """Raises InstanceNotFound."""
    found = session.execute(f"select {_COLUMNS} from {_FROM} where i.instance_id = ?", (instance_id,)).fetchone()
    if found is None:
        raise not_found(instance_id)
    return _instance(found)


def list_instances(session: Session, where: InstanceFilter, cursor: str | None, limit: int) -> Page[Instance]:
    """Newest first: keys are ordered by time."""
    clauses = conditions(where)
    if cursor is not None:
        clauses.append(Condition("key < ?", (decode_cursor(cursor),)))
    text, parameters = where_clause(clauses)
    # The page is found before the workers' names are.
    statement = f"""select {_COLUMNS} from (
            select * from perdure_instances {text} order by key desc limit ?
        ) i left join perdure_workers w on w.key = i.worker order by i.key desc"""
    found = session.execute(statement, (*parameters, limit + 1)).fetchall()
    page = found[:limit]
    following = encode_cursor(page[-1][0]) if len(found) > limit and page else None
    return Page(tuple(_instance(row) for row in page), following)


_COUNT_ALL = """with everything(n) as (select count(*) from perdure_instances),
        running(n) as (select count(*) from perdure_instances where ended_at is null),
        others(state, n) as (select state, count(*) from perdure_instances where state > 1 group by state)
    select 0, n from running
    union all select 1, everything.n - running.n - (select coalesce(sum(n), 0) from others) from everything, running
    union all select state, n from others"""
"""Looks at no row: of a million instances most have completed, and those are counted by what the indexes say of the others."""


def count_instances(session: Session, where: InstanceFilter) -> dict[State, int]:
    text, parameters = where_clause(conditions(where))
    statement = f"select state, count(*) from perdure_instances {text} group by state" if text else _COUNT_ALL
    return {STATES[state]: int(count) for state, count in session.execute(statement, parameters).fetchall() if count}


def where_clause(clauses: list[Condition]) -> tuple[str, list[Any]]:
    """The text with its `where`, if there is anything to say, and the parameters."""
    if not clauses:
        return "", []
    text = " and ".join(f"({clause.text})" for clause in clauses)
    return f"where {text}", [value for clause in clauses for value in clause.parameters]


def read_executions(session: Session, instance_id: str) -> list[Execution]:
    """Raises InstanceNotFound."""
    current = session.execute(
        "select key, execution_id, execution_number, state, began_at, ended_at, position from perdure_instances "
        "where instance_id = ?",
        (instance_id,),
    ).fetchone()
    if current is None:
        raise not_found(instance_id)
    past = session.execute(
        "select execution_id, number, state, started_at, ended_at, history_length from perdure_executions "
        "where instance_key = ? order by number",
        (current[0],),
    ).fetchall()
    return [_execution(*row) for row in (*past, current[1:])]


def read_published(session: Session, instance_id: str, name: str) -> bytes | None:
    """Raises InstanceNotFound."""
    found = session.execute(
        "select p.value from perdure_instances i "
        "left join perdure_published p on p.instance_key = i.key and p.name = ? where i.instance_id = ?",
        (name, instance_id),
    ).fetchone()
    if found is None:
        raise not_found(instance_id)
    value: bytes | None = found[0]
    return value


def read_activities(session: Session, instance_id: str) -> list[PendingActivity]:
    """Raises InstanceNotFound."""
    if session.execute("select 1 from perdure_instances where instance_id = ?", (instance_id,)).fetchone() is None:
        raise not_found(instance_id)
    found = session.execute(
        "select a.number, a.name, a.queue, a.attempt, a.due_at, w.name, a.worker, a.token, a.last_failure, "
        "a.details, a.lost "
        "from perdure_instances i join perdure_activities a on a.instance_key = i.key "
        "and a.execution_number = i.execution_number and a.orphaned = 0 "
        "left join perdure_workers w on w.key = a.worker where i.instance_id = ? order by a.number",
        (instance_id,),
    ).fetchall()
    return [
        PendingActivity(
            number=number,
            name=name,
            queue=queue,
            attempt=attempt,
            due_at=to_datetime(due_at),
            worker=name_of_worker,
            is_open=worker is None and token is not None,
            last_failure=decode_failure(last_failure),
            heartbeat_details=details,
            lost=lost,
        )
        for number, name, queue, attempt, due_at, name_of_worker, worker, token, last_failure, details, lost in found
    ]


def _instance(row: tuple[Any, ...]) -> Instance:
    (
        _, instance_id, execution_id, execution_number, workflow, queue, state, created_at,
        updated_at, ended_at, priority, tags, version, deadline_at, parent_id, parent_execution,
        parent_number, position, history_bytes, suspended, stuck_reason, stuck_attempts, wake_at, remove_at, worker,
    ) = row  # fmt: skip
    stuck = None
    if stuck_reason is not None:
        stuck = Stuck(reason=stuck_reason, attempts=stuck_attempts, retry_at=as_datetime(wake_at))
    return Instance(
        instance_id=instance_id,
        execution_id=execution_id.hex(),
        execution_number=execution_number,
        workflow=workflow,
        queue=queue,
        state=STATES[state],
        created_at=to_datetime(created_at),
        updated_at=to_datetime(updated_at),
        ended_at=as_datetime(ended_at),
        priority=priority,
        tags={} if tags is None else _decode_tags(tags),
        version=version,
        deadline_at=as_datetime(deadline_at),
        parent=None if parent_id is None else Parent(parent_id, parent_execution, parent_number),
        history_length=position,
        history_bytes=history_bytes,
        suspended=bool(suspended),
        stuck=stuck,
        worker=worker,
        due_at=as_datetime(wake_at),
        remove_at=as_datetime(remove_at),
    )


def _execution(
    execution_id: bytes, number: int, state: int, started_at: Micros, ended_at: Micros | None, length: int
) -> Execution:
    return Execution(
        execution_id=execution_id.hex(),
        number=number,
        state=STATES[state],
        started_at=to_datetime(started_at),
        ended_at=as_datetime(ended_at),
        history_length=length,
    )


def as_datetime(at: Micros | None) -> datetime | None:
    return None if at is None else to_datetime(at)
