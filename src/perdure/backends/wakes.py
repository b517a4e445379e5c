"""What a commit made ready, for those who wait in this process."""

from __future__ import annotations

from perdure.backends.letters import Letter
from perdure.clock import Micros
from perdure.model.instance import Outcome


class Wakes:
    """Gathered while a batch is applied, told after its commit, forgotten if it is rolled back."""

    __slots__ = ("activity_queues", "gone", "letters", "outcomes", "questions", "replies", "workers", "workflow_queues")

    def __init__(self) -> None:
        self.workflow_queues: dict[str, Micros] = {}
        """From when on there is something on the queue."""
        self.activity_queues: dict[str, Micros] = {}
        self.workers: dict[int, Micros] = {}
        """From when on there is something that only this worker can take."""
        self.outcomes: dict[str, Outcome] = {}
        self.gone: set[str] = set()
        """Instances that were removed."""
        self.questions: set[int] = set()
        """Workers that are asked something."""
        self.replies: dict[bytes, bytes] = {}
        self.letters: list[Letter] = []
        """Written for instances in other partitions, and to be delivered now."""

    def __bool__(self) -> bool:
        return bool(
            self.workflow_queues
            or self.activity_queues
            or self.workers
            or self.outcomes
            or self.gone
            or self.questions
            or self.replies
        )

    def workflow_due(self, queue: str, at: Micros) -> None:
        due = self.workflow_queues
        if at < due.get(queue, at + 1):
            due[queue] = at

    def activity_due(self, queue: str, at: Micros) -> None:
        due = self.activity_queues
        if at < due.get(queue, at + 1):
            due[queue] = at

    def worker_due(self, worker: int, at: Micros) -> None:
        due = self.workers
        if at < due.get(worker, at + 1):
            due[worker] = at
