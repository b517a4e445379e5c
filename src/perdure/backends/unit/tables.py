"""What a unit asks of the tables, whatever they are made of: the one interface below the rules.

A store that has these methods has everything that rules/ do. Reads see what was written by `write` and by the direct writes
before them, of this batch too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from perdure.backends.admission import Bucket
from perdure.backends.protocol import Question, WorkerStart
from perdure.backends.rows import ActivityRow, InstanceRow
from perdure.clock import Micros
from perdure.model.transition import ClaimTasks

if TYPE_CHECKING:
    from perdure.backends.unit.changes import Changes

Place = tuple[int, int]
"""Where an instance stands among those that wait: priority negated, key; the smaller one is claimed first."""


class Survey(msgspec.Struct, frozen=True):
    """What there is for a worker that claims."""

    has_workflow_task: bool
    has_activity: bool
    """Limits of queues apart."""
    next_due_at: Micros | None
    """When the first of what waits for its moment will be due that the worker may claim."""
    told: tuple[tuple[int, int], ...]
    """(activity key, token) of its running activities whose cancellation was requested."""


class House(msgspec.Struct, frozen=True):
    """What there is for housekeeping."""

    is_untidy: bool
    """Something may have to be done."""
    lapses_at: Micros | None
    """Until when the first of the living workers' leases holds."""
    has_questions: bool
    """That nobody has taken."""


class WorkerRow(msgspec.Struct, frozen=True):
    """A row of perdure_workers, in the order of its columns."""

    key: int
    name: str
    machine: str
    lock_name: str
    start: bytes
    """The WorkerStart, encoded."""
    started_at: Micros
    heartbeat_at: Micros
    lease: Micros
    lease_until: Micros
    is_alive: int = 1


class Tables(Protocol):
    """Rows are given as they are stored: what a unit has in memory goes before them."""

    blob_threshold: int
    """Payloads of more bytes are blobs."""

    # --- instances and what belongs to them

    def instances_by_id(self, ids: Sequence[str]) -> Iterable[InstanceRow]:
        """Those that exist, in any order."""
        ...

    def instances_by_key(self, keys: Sequence[int]) -> Iterable[InstanceRow]: ...

    def activities_by_key(self, keys: Sequence[int]) -> Iterable[ActivityRow]: ...

    def activities_of(self, instance_key: int) -> Iterable[ActivityRow]:
        """Of all its executions."""
        ...

    def pending_of(self, instance_key: int) -> list[tuple[int, bytes]]:
        """Pending events with their numbers, in order."""
        ...

    def receipt_expiry(self, instance_key: int, message_id: bytes) -> Micros | None:
        """Until when the message is remembered; None if it isn't."""
        ...

    def running_children(self, parent_id: str, parent_execution: bytes) -> list[int]:
        """Keys of the running sub-workflows of an execution, in order."""
        ...

    def is_past_execution(self, instance_key: int, execution_id: bytes) -> bool: ...

    def count_children(self, parent_id: str, parent_execution: bytes) -> int: ...

    def write(self, changes: Changes) -> None:
        """Write all that has changed, each row once; what is read from then on shows it, though it isn't committed yet."""
        ...

    def free_instances(self, keys: Sequence[int]) -> list[int]:
        """Those that are there; a store with many writers leaves out those that others are writing."""
        ...

    def remove_instances(self, rows: Sequence[InstanceRow]) -> None:
        """Everything of these instances, at once. Their activities are gone already."""
        ...

    def put_blob(self, instance_key: int, blob_id: bytes, data: bytes) -> None: ...

    # --- what waits

    def ready_instances(
        self, queue: str, names: frozenset[str], versions: frozenset[str] | None, limit: int, *, lock: bool = False
    ) -> list[Place]:
        """Instances of these workflows that any worker may claim, the first ones first.

        `lock`: they are about to be claimed; a store with many writers passes over those that others are claiming.
        """
        ...

    def held_instances(self, worker_key: int, now: Micros, limit: int) -> list[Place]:
        """Instances in the worker's hands for which something is due."""
        ...

    def ready_activities(
        self, queue: str, names: frozenset[str], limit: int, *, lock: bool = False
    ) -> list[tuple[int, int, int, int]]:
        """Activities that any worker may claim, the first ones first: their ranks, and behind them their keys."""
        ...

    def do_instances_wait(self, queue: str, now: Micros) -> tuple[bool, bool]:
        """Whether the moment of any has come that isn't marked ready, and whether any is ready."""
        ...

    def do_activities_wait(self, queue: str, now: Micros) -> tuple[bool, bool]: ...

    def promote_instances(self, queue: str, now: Micros) -> None:
        """Mark those ready whose moment has come."""
        ...

    def promote_activities(self, queue: str, now: Micros) -> None: ...

    def survey(self, claim: ClaimTasks, now: Micros) -> Survey:
        """What there is for a worker."""
        ...

    # --- limits

    def queue_limits(self) -> list[tuple[str, bytes]]:
        """Queues that have limits, with them."""
        ...

    def running_activities(self, queue: str) -> int:
        """Leased activities of a queue that has limits."""
        ...

    def bucket(self, queue: str, *, lock: bool = False) -> Bucket | None:
        """With `lock`, nobody else changes it before the batch is committed, where the store can do that."""
        ...

    def limit_activities(self, queue: str, *, is_limited: bool) -> None:
        """The queue has limits now, or none any longer: its activities say so from now on."""
        ...

    # --- workers

    def worker_start(self, worker_key: int) -> bytes | None:
        """How a living worker began, encoded; None for one that was marked dead or forgotten."""
        ...

    def insert_worker(self, row: WorkerRow) -> None: ...

    def put_worker_start(self, worker_key: int, start: bytes) -> None:
        """Of a living worker, in the place of how it began; no batch that began before is written any more."""
        ...

    def beat(self, worker_key: int, now: Micros) -> bool:
        """Another lease for a living worker; whether it is one."""
        ...

    def delete_worker(self, worker_key: int) -> None: ...

    def all_workers(self) -> list[int]: ...

    def lapsed_workers(self, now: Micros) -> list[int]: ...

    def leases_of_dead(self, since: Micros) -> list[int]:
        """Of the workers that have died since then, those that hold leases all the same."""
        ...

    def mark_worker_dead(self, worker_key: int, now: Micros) -> None: ...

    def claimed_of_worker(self, worker_key: int) -> list[int]:
        """Instances whose workflow task it has."""
        ...

    def release_instances(self, worker_key: int, now: Micros) -> list[tuple[str, Micros]]:
        """End its leases of instances; the queues on which some wait now, and from when on."""
        ...

    def activities_of_worker(self, worker_key: int) -> list[int]: ...

    def look_round(self, now: Micros, *, died_since: Micros, workers_before: Micros) -> House:
        """What housekeeping may find: so long as workers that have died since then are looked after, that is something."""
        ...

    def forget(self, now: Micros, *, workers_before: Micros) -> None:
        """Expired receipts and questions go, and workers dead since before that."""
        ...

    # --- time

    def activities_expired(self, now: Micros, limit: int) -> list[int]:
        """Activities that have waited for too long, and that nobody has."""
        ...

    def instances_past_deadline(self, now: Micros, limit: int) -> list[int]: ...

    # --- questions

    def insert_question(self, question: Question, expires_at: Micros) -> None:
        """One without an instance is for nobody to take."""
        ...

    def take_questions(self, worker_key: int, start: WorkerStart) -> list[Question]:
        """About instances that the worker holds, or that it serves and nobody holds; each is given once."""
        ...

    def answer_question(self, question_id: bytes, reply: bytes) -> bool:
        """Whether this is the first answer to a question that is still there."""
        ...

    def delete_question(self, question_id: bytes) -> None: ...

    # --- settings, the seal

    def put_setting(self, kind: str, name: str, value: bytes) -> None: ...

    def delete_setting(self, kind: str, name: str) -> bool:
        """Whether there was one. A queue's bucket goes with its limits."""
        ...

    def seal_target(self) -> str | None: ...

    def set_seal(self, target: str | None) -> None: ...
