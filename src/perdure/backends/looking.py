"""What operators read, as a store's own reader answers it: the read half of `Inspection`, in the thread that reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from perdure.backends.exports import Snapshot
from perdure.backends.protocol import WorkerStart
from perdure.backends.wakes import Wakes
from perdure.clock import Micros
from perdure.errors import InstanceNotFound
from perdure.model.event import ExecutionStarted
from perdure.model.inspection import Ended, InstanceFilter, Page, PendingActivity, QueueStatus, WorkerStatus
from perdure.model.instance import Execution, Instance, Outcome, State

HistoryRow = tuple[int, bytes]
"""The position of its first event, and its events, encoded."""


class Looking(Protocol):
    """Each call sees what was committed before it. What takes an instance's id raises InstanceNotFound."""

    def read_instance(self, instance_id: str) -> Instance: ...

    def read_executions(self, instance_id: str) -> Sequence[Execution]: ...

    def read_started(self, instance_id: str) -> ExecutionStarted:
        """How the current execution was started."""
        ...

    def read_outcome(self, instance_id: str) -> Outcome | None: ...

    def read_published(self, instance_id: str, name: str) -> bytes | None: ...

    def read_activities(self, instance_id: str) -> Sequence[PendingActivity]: ...

    def instance_key(self, instance_id: str) -> int: ...

    def execution_number(self, instance_key: int, execution_id: bytes | None) -> int | None:
        """Which execution of the chain that is; None is the current one. None if it isn't of the chain."""
        ...

    def read_rows(self, instance_key: int, number: int, from_position: int) -> tuple[list[HistoryRow], bool]:
        """A page of a history's rows, from the one that holds `from_position` on, and whether there may be more."""
        ...

    def read_histories(self, executions: Mapping[int, bytes]) -> dict[int, list[HistoryRow]]:
        """The whole histories of executions, given by their instances' keys, of those that fit into a page or so together.

        What isn't current any more, or not there, is left out.
        """
        ...

    def list_instances(self, where: InstanceFilter, cursor: str | None, limit: int) -> Page[Instance]: ...

    def count_instances(self, where: InstanceFilter) -> dict[State, int]: ...

    def list_queues(self, now: Micros) -> Sequence[QueueStatus]: ...

    def list_workers(self, now: Micros) -> Sequence[WorkerStatus]: ...

    def read_start(self, worker_key: int) -> WorkerStart | None:
        """What a worker serves; None if nobody knows it."""
        ...

    def read_blob(self, blob_id: bytes) -> bytes | None: ...

    def list_settings(self, kind: str) -> dict[str, bytes]: ...

    def next_keys(self, where: InstanceFilter, after: int) -> list[int]:
        """Some of the keys of matching instances over `after`, oldest first; none if there are no more."""
        ...

    def ended_keys(self, where: InstanceFilter, after: Ended | None, limit: int) -> list[Ended]:
        """Of matching instances that have ended, past that end; the first ones."""
        ...

    def expired_keys(self, now: Micros, limit: int) -> list[int]:
        """Some of the instances that were kept for as long as they are to be."""
        ...

    def snapshot_of(self, key: int) -> Snapshot | None:
        """All of an instance, as it is at one moment; None if it has gone."""
        ...

    def read_ended(self, ids: Sequence[str], questions: Sequence[bytes]) -> Wakes:
        """Which of these instances have ended or gone, and which of these questions are answered."""
        ...


def not_found(instance_id: str) -> InstanceNotFound:
    return InstanceNotFound(f"there is no instance {instance_id!r}", instance_id)
