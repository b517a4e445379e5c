"""What rides on a copy of a definition: options of activities, sub-workflows and starts."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from perdure.model.retry import RetryPolicy

Duration = timedelta | float
"""A length of time: a timedelta, or seconds."""


class Cancellation(enum.StrEnum):
    """What an instance's cancel does to an activity that is under way."""

    WAIT = "wait"
    """Its await gives how it ended; the activity isn't disturbed."""
    REQUEST = "request"
    """The same, and the running activity gets CancelledError."""
    ABANDON = "abandon"
    """The await raises CancelledError at once; the activity isn't disturbed, its result is dropped."""


class ParentClose(enum.StrEnum):
    """What the end of a parent does to a sub-workflow that still runs."""

    CANCEL = "cancel"
    ABANDON = "abandon"
    TERMINATE = "terminate"


class IfExists(enum.StrEnum):
    """What a start does when the id is taken. Ended instances take theirs until they are removed."""

    RAISE = "raise"
    USE = "use"
    """Take the existing one, running or ended; another workflow or input is an error."""
    RESTART = "restart"
    """Start anew if it has ended, else raise."""
    RESTART_FAILED = "restart_failed"
    """Start anew if it ended without a result, else raise."""


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long an instance is kept after its end, by how it ended; None is for ever."""

    completed: Duration | None = None
    failed: Duration | None = None
    cancelled: Duration | None = None
    terminated: Duration | None = None


class ActivityOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of an activity. None means: as the workflow has it, or no limit."""

    queue: str | None = None
    retry: RetryPolicy = RetryPolicy()
    timeout: Duration | None = None
    total_timeout: Duration | None = None
    queue_timeout: Duration | None = None
    heartbeat_timeout: Duration | None = None
    priority: int | None = None
    cancellation: Cancellation = Cancellation.WAIT
    idempotent: bool = False
    """Doing it twice does no more than doing it once. Said for tests: `crash_anywhere` names what isn't."""

    # Of an activity that a client starts by itself, and of no other.
    instance_id: str | None = None
    start_delay: Duration | None = None
    tags: Mapping[str, str] | None = None
    if_exists: IfExists | None = None
    idempotency_key: str | None = None


START_OPTIONS = ("instance_id", "start_delay", "tags", "if_exists", "idempotency_key")
"""Those of them that only a client's start can go by."""


class WorkflowOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a start or a sub-workflow. None means: drawn, inherited, or no limit."""

    instance_id: str | None = None
    queue: str | None = None
    priority: int | None = None
    timeout: Duration | None = None
    start_delay: Duration | None = None
    tags: Mapping[str, str] | None = None
    if_exists: IfExists = IfExists.RAISE
    idempotency_key: str | None = None
    retry: RetryPolicy | None = None
    """Sub-workflows alone: tried again as a new instance of the same id."""
    parent_close: ParentClose = ParentClose.CANCEL
    retention: Retention | None = None
    """None: as the App says."""
