"""Hand-back: what a commit makes ready comes back with its answer, into slots that were reserved before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perdure.model.checkpoint import Checkpoint
from perdure.model.task import ActivityTask
from perdure.model.transition import Offer
from perdure.worker.slots import Slots


class HandBack:
    """Makes offers, and settles them: each reserved slot is used or freed, whatever becomes of the commit."""

    def __init__(
        self,
        worker_key: int,
        *,
        queues: tuple[str, ...],
        names: frozenset[str],
        serves_workflows: bool,
        slots: Slots,
        begin: Callable[[ActivityTask], None],
    ) -> None:
        self._worker_key = worker_key
        self._queues = queues
        self._names = names
        self._serves_workflows = serves_workflows
        self._slots = slots
        self._begin = begin
        self._offer_of_task = Offer(worker_key=worker_key, workflow_task=True)
        self.is_stopped = False
        """A worker that stops takes nothing more."""

    def offer(self, checkpoint: Checkpoint, *, workflow_task: bool) -> Offer | None:
        """What this worker takes of what the checkpoint makes ready; the slots are reserved."""
        if self.is_stopped:
            return None
        reserved = self._reserve(checkpoint)
        if not reserved:
            return self._offer_of_task if workflow_task else None
        return Offer(self._worker_key, self._queues, reserved, self._names, workflow_task)

    def offer_with_start(self, checkpoint: Checkpoint, *, workflow_task: bool) -> Offer:
        """The same of a first step, which must name its worker in any case."""
        reserved = self._reserve(checkpoint)
        return Offer(self._worker_key, self._queues, reserved, self._names, workflow_task)

    def offer_of_task(self, *, workflow_task: bool) -> Offer | None:
        """For the end of an activity: the instance's workflow task may come back, if nobody else has the instance."""
        if self.is_stopped or not workflow_task or not self._serves_workflows:
            return None
        return self._offer_of_task

    def withdraw(self, offer: Offer | None) -> None:
        """The commit failed: nothing comes back."""
        if offer is not None:
            self._slots.free(offer.activities)

    def settle(self, offer: Offer | None, activities: Sequence[ActivityTask]) -> None:
        """Begin what came back; free what nothing came for."""
        if offer is not None:
            self._slots.free(offer.activities - len(activities))
        for task in activities:
            self._begin(task)

    def _reserve(self, checkpoint: Checkpoint) -> int:
        new = checkpoint.activities
        if not new:
            return 0
        return self._slots.take(sum([each.queue in self._queues and each.name in self._names for each in new]))
