"""What operators ask for and get: filters, pages, queues, workers, settings, exports."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

import msgspec

from perdure.clock import Micros
from perdure.model.event import Event
from perdure.model.failure import Failure
from perdure.model.instance import State

T = TypeVar("T")


class InstanceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which instances; every given condition must hold. Times are half-open: from (included) to (excluded)."""

    states: frozenset[State] | None = None
    workflow: str | None = None
    queue: str | None = None
    id_prefix: str | None = None
    id_contains: str | None = None
    version: str | None = None
    """App(version=) at its start."""
    created_from: datetime | None = None
    created_to: datetime | None = None
    ended_to: datetime | None = None
    updated_to: datetime | None = None
    """Nothing was recorded or arrived since: with `states={RUNNING}`, those that wait long."""
    tags: Mapping[str, str] | None = None
    parent_instance_id: str | None = None
    stuck: bool | None = None
    suspended: bool | None = None


class Ended(NamedTuple):
    """Where an instance stands among those that have ended."""

    ended_at: Micros
    key: int


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What a step of pruning did. `last` leads to the next one; None if there are no more."""

    removed: int
    last: Ended | None = None


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a listing. `cursor` leads to the next one; None after the last."""

    items: tuple[T, ...]
    cursor: str | None


class HistoryEvent(msgspec.Struct, frozen=True):
    """An event and its position in the history, from 0."""

    position: int
    event: Event


class PendingActivity(msgspec.Struct, frozen=True, kw_only=True):
    """An activity that hasn't ended."""

    number: int
    name: str
    queue: str
    attempt: int
    due_at: datetime
    worker: str | None
    """Who runs it; None while it waits, and while its end is to come from outside."""
    is_open: bool
    """Whether it was begun and its end is to come from outside."""
    last_failure: Failure | None
    heartbeat_details: bytes | None
    lost: int
    """Attempts in a row that were lost with their workers."""


class QueueStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What waits on a queue now, and what runs."""

    queue: str
    workflow_tasks: int
    """Due and in nobody's hands."""
    activity_tasks: int
    running_activities: int
    oldest_due_at: datetime | None


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that started and hasn't been forgotten yet."""

    worker: str
    """Host, process id and a random part."""
    started_at: datetime
    last_heartbeat_at: datetime
    is_alive: bool
    workflow_queues: tuple[str, ...]
    activity_queues: tuple[str, ...]
    instances: int
    """Leases on instances that it holds."""
    activities: int


class SettingKind(enum.StrEnum):
    """What settings are kept for."""

    QUEUE = "queue"
    SCHEDULE = "schedule"


class QueueLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The setting of a queue: its activities' limits over all workers. None is no limit."""

    paused: bool = False
    at_once: int | None = None
    per_second: float | None = None


class ExportedInstance(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one instance, for another store: rows as plain data, by table."""

    instance_id: str
    tables: dict[str, list[dict[str, object]]]
