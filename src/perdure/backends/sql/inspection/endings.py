"""Instances in the order in which they end, and go."""

from __future__ import annotations

from perdure.backends.sql.filters import Condition, conditions
from perdure.backends.sql.inspection.instances import where_clause
from perdure.backends.sql.session import Session
from perdure.clock import Micros
from perdure.model.inspection import Ended, InstanceFilter

_EXPIRED = """select key from perdure_instances
    where remove_at is not null and remove_at <= ? order by remove_at limit ?"""


def ended_keys(session: Session, where: InstanceFilter, after: Ended | None, limit: int) -> list[Ended]:
    """When they ended, and their keys."""
    clauses = [*conditions(where), Condition("ended_at is not null")]
    if after is not None:
        ended_at, key = after
        clauses.append(Condition("ended_at >= ? and (ended_at > ? or key > ?)", (ended_at, ended_at, key)))
    text, parameters = where_clause(clauses)
    statement = f"select ended_at, key from perdure_instances {text} order by ended_at, key limit ?"
    return [Ended(*row) for row in session.execute(statement, (*parameters, limit)).fetchall()]


def expired_keys(session: Session, now: Micros, limit: int) -> list[int]:
    """Those that are to go, the longest due first."""
    return [key for (key,) in session.execute(_EXPIRED, (now, limit)).fetchall()]
