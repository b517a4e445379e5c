"""Instances: their states and what is known of them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime

import msgspec

from perdure.model.failure import Failure


class State(enum.StrEnum):
    """Where an execution stands. A RUNNING instance can be stuck and suspended as well."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    CONTINUED_AS_NEW = "continued_as_new"

    @property
    def is_ended(self) -> bool:
        return self is not State.RUNNING


class Parent(msgspec.Struct, frozen=True, array_like=True):
    """The instance that started this one as a sub-workflow."""

    instance_id: str
    execution_id: bytes
    number: int
    """The command's number in the parent's execution."""


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """Why a RUNNING instance doesn't go on. Nothing is lost; it goes on once the reason is gone."""

    reason: str
    attempts: int
    retry_at: datetime | None
    """None: it waits for `resume`."""


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of an instance's chain."""

    execution_id: str
    number: int
    state: State
    started_at: datetime
    ended_at: datetime | None
    history_length: int


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """All that an operator sees of an instance without its history."""

    instance_id: str
    execution_id: str
    execution_number: int
    workflow: str
    queue: str
    state: State
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    priority: int
    tags: Mapping[str, str]
    version: str | None
    deadline_at: datetime | None
    parent: Parent | None
    history_length: int
    history_bytes: int
    suspended: bool
    stuck: Stuck | None
    worker: str | None
    """The worker that has its execution in memory."""
    due_at: datetime | None
    """When its next workflow task is due; None while it waits for events alone."""
    remove_at: datetime | None = None
    """When an ended instance is removed by itself; None: it stays."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an instance ended. Payloads are still encoded."""

    instance_id: str
    workflow: str
    state: State
    result: bytes | None = None
    failure: Failure | None = None
    reason: str = ""
