"""Instances: a page of them, and how many there are of which kind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Unpack

import msgspec

from perdure.client.filters import Filters
from perdure.diagnostics.look import Look
from perdure.diagnostics.views.stuck import StuckAdvice, advice_of
from perdure.model.instance import Instance, State

WAITING_LONG = timedelta(hours=1)
"""A running instance to which nothing has happened for so long waits long, unless somebody says otherwise."""


class InstanceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as lists, trees and its own page show it."""

    instance_id: str
    execution_id: str
    execution_number: int
    """Over 1 after continue-as-new."""
    workflow: str
    queue: str
    state: State
    standing: str
    """The state, but `stuck` or `suspended` for a running one that is."""
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    priority: int
    tags: Mapping[str, str]
    version: str | None
    deadline_at: datetime | None
    due_at: datetime | None
    """When its next workflow task is due; None while it waits for events alone."""
    remove_at: datetime | None
    parent_id: str | None
    history_length: int
    history_bytes: int
    worker: str | None
    """Who has its execution in memory."""
    is_suspended: bool
    stuck: StuckAdvice | None


class InstancePage(msgspec.Struct, frozen=True, kw_only=True):
    """Instances, newest first."""

    instances: tuple[InstanceFacts, ...]
    cursor: str | None
    """Leads to the next page; None after the last."""
    now: datetime


class InstanceCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many instances a filter lets through."""

    states: Mapping[State, int]
    """Every state, those without any as 0."""
    total: int
    stuck: int
    """Among the running ones, as the next two."""
    suspended: int
    waiting_long: int
    """Nothing has happened to them for `waiting_long_seconds`."""
    waiting_long_seconds: float


def facts_of(instance: Instance) -> InstanceFacts:
    """What is shown of it."""
    shared = {name: getattr(instance, name) for name in _SHARED}
    return InstanceFacts(
        **shared,
        standing=_standing(instance),
        parent_id=None if instance.parent is None else instance.parent.instance_id,
        is_suspended=instance.suspended,
        stuck=advice_of(instance),
    )


_SHARED = frozenset(Instance.__struct_fields__) & frozenset(InstanceFacts.__struct_fields__) - {"stuck"}


def _standing(instance: Instance) -> str:
    if instance.stuck is not None:
        return "stuck"
    return "suspended" if instance.suspended else instance.state.value


async def read_instances(
    look: Look, *, cursor: str | None = None, limit: int = 50, **filters: Unpack[Filters]
) -> InstancePage:
    """A page of the instances that the filters let through. Raises ConfigurationError for a filter or cursor that is none."""
    page = await look.client.page(cursor=cursor, limit=limit, **filters)
    return InstancePage(
        instances=tuple(facts_of(each) for each in page.items), cursor=page.cursor, now=await look.now()
    )


async def read_counts(
    look: Look, *, waiting_long: timedelta = WAITING_LONG, **filters: Unpack[Filters]
) -> InstanceCounts:
    """Counts of the instances that the filters let through; each is right by itself, they aren't of one moment."""
    found = await look.client.count(**filters)
    stuck = suspended = waiting = 0
    if found.get(State.RUNNING):
        stuck = 0 if filters.get("stuck") is False else await count(look, {**filters, "stuck": True})
        suspended = 0 if filters.get("suspended") is False else await count(look, {**filters, "suspended": True})
        waiting = await count(look, waiting_filters(filters, await look.now(), waiting_long))
    return InstanceCounts(
        states={state: found.get(state, 0) for state in State},
        total=sum(found.values()),
        stuck=stuck,
        suspended=suspended,
        waiting_long=waiting,
        waiting_long_seconds=waiting_long.total_seconds(),
    )


def waiting_filters(filters: Filters, now: datetime, waiting_long: timedelta = WAITING_LONG) -> Filters:
    """The filters, and besides that nothing has happened to the instance, which runs, for so long."""
    return {**filters, "states": [State.RUNNING], "updated_to": now - waiting_long}


async def count(look: Look, filters: Filters) -> int:
    """How many instances they let through, of whatever state."""
    return sum((await look.client.count(**filters)).values())
