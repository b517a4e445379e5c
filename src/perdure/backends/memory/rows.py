"""The rows of the memory store. They change only under the store's lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from perdure.backends.admission import Bucket, Rank, rank_of
from perdure.backends.memory.lines import Line
from perdure.backends.memory.waking import Bell
from perdure.backends.protocol import Question, WorkerStart
from perdure.clock import Micros
from perdure.model.checkpoint import NewActivity
from perdure.model.event import ExecutionStarted
from perdure.model.failure import Failure
from perdure.model.inspection import QueueLimits
from perdure.model.instance import Parent, State
from perdure.model.options import ParentClose
from perdure.model.retention import StoredRetention
from perdure.model.task import PendingEvent


class _Nothing(dict[Any, Any]):
    """Empty for good: who has something to keep puts a dict of its own in its place."""

    def __setitem__(self, key: object, value: object) -> None:
        raise TypeError("this dict is shared by all rows that have nothing")

    setdefault = update = __ior__ = __setitem__  # type: ignore[assignment]

    def __hash__(self) -> int:  # type: ignore[override]  # dataclasses want a default to have one
        return id(self)


NOTHING: Final[dict[Any, Any]] = _Nothing()
"""Of 100,000 instances that wait, most have nothing pending, published or running: an empty dict for each would be most of
their memory."""


@dataclass(slots=True, eq=False)
class PastExecution:
    """An execution that continue-as-new has ended."""

    execution_id: bytes
    number: int
    started_at: Micros
    ended_at: Micros
    position: int
    history: list[tuple[int, bytes]]


@dataclass(slots=True, eq=False, kw_only=True)
class InstanceRow:
    """An instance, with all that belongs to it alone."""

    key: int
    instance_id: str
    execution_id: bytes
    request_id: bytes
    workflow: str
    digest: bytes
    created_workflow: str
    created_digest: bytes
    queue: str
    priority: int
    version: str | None
    tags: Mapping[str, str]
    created_at: Micros
    updated_at: Micros
    deadline_at: Micros | None
    parent: Parent | None
    parent_close: ParentClose
    started: ExecutionStarted
    wake_at: Micros | None
    retention: StoredRetention | None = None

    is_fresh: bool = True
    position: int = 0
    history_bytes: int = 0
    history: list[tuple[int, bytes]] = field(default_factory=list)
    past: Sequence[PastExecution] = ()
    next_pending_id: int = 1
    pending: dict[int, PendingEvent] = NOTHING
    activities: dict[int, ActivityRow] = NOTHING
    """Of the current execution, by number; those whose end is waited for."""
    dropped: dict[int, ActivityRow] = NOTHING
    """Those that a worker runs and whose end nobody waits for, by key."""
    published: dict[str, bytes] = NOTHING
    receipts: dict[bytes, Micros] = NOTHING
    blob_ids: AbstractSet[bytes] = frozenset()

    worker: WorkerRow | None = None
    token: int | None = None
    claimed: bool = False
    """A workflow task is out; while it is, the worker that holds the lease doesn't get another one."""
    line: Line | None = None

    suspended: bool = False
    stuck_reason: str | None = None
    stuck_attempts: int = 0
    lost: int = 0

    state: State = State.RUNNING
    ended_at: Micros | None = None
    remove_at: Micros | None = None
    result: bytes | None = None
    failure: Failure | None = None
    reason: str = ""

    @property
    def is_running(self) -> bool:
        return self.state is State.RUNNING


@dataclass(slots=True, eq=False)
class ActivityRow:
    """An activity that hasn't ended. It satisfies admission's `Candidate`."""

    key: int
    instance: InstanceRow
    execution_id: bytes
    spec: NewActivity
    scheduled_at: Micros
    due_at: Micros
    attempt: int = 1
    lost: int = 0
    worker: WorkerRow | None = None
    token: int | None = None
    cancel_requested: bool = False
    last_failure: Failure | None = None
    heartbeat_details: bytes | None = None
    line: Line | None = None
    is_waited_for: bool = True
    heard_at: Micros = 0
    """The last sign of life from outside."""

    @property
    def is_open(self) -> bool:
        """Whether its end is to come from outside: `due_at` is then when the attempt began."""
        return self.worker is None and self.token is not None

    @property
    def total_deadline_at(self) -> Micros | None:
        """When all its attempts must be over."""
        return None if self.spec.total_timeout is None else self.scheduled_at + self.spec.total_timeout

    @property
    def queue(self) -> str:
        return self.spec.queue

    @property
    def rank(self) -> Rank:
        return rank_of(self.spec.priority, self.instance.key, self.spec.number)


@dataclass(slots=True, eq=False)
class WorkerRow:
    """A worker start. `held` has the instances in its memory that are due and idle."""

    key: int
    start: WorkerStart
    started_at: Micros
    beat_at: Micros
    is_dead: bool = False
    held: Line = field(default_factory=Line)
    instances: dict[int, InstanceRow] = field(default_factory=dict)
    activities: dict[int, ActivityRow] = field(default_factory=dict)
    told: dict[int, ActivityRow] = field(default_factory=dict)
    """Its running activities whose cancellation was requested."""
    bell: Bell = field(default_factory=Bell)
    asked: Bell = field(default_factory=Bell)
    """Rings for questions."""
    next_due_at: Micros | None = None
    """What its last claim was told, or heard of since."""

    @property
    def lease_until(self) -> Micros:
        return self.beat_at + round(self.start.lease_seconds * 1_000_000)


@dataclass(slots=True, eq=False)
class QueueRow:
    """A queue's limits and what runs on it."""

    limits: QueueLimits | None = None
    bucket: Bucket | None = None
    running: int = 0


@dataclass(slots=True, eq=False)
class QuestionRow:
    """A question and who waits for its answer."""

    question: Question
    expires_at: Micros
    bell: Bell = field(default_factory=Bell)
    is_taken: bool = False
    is_answered: bool = False
    reply: bytes | None = None
