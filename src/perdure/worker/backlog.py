"""What a worker knows of the work that waits in the store, so that it begins nothing new ahead of it in vain."""

from __future__ import annotations

from perdure.model.transition import Claimed, ClaimTasks


class Backlog:
    """Learned from claims and from declined first steps."""

    __slots__ = ("_begun_without_slot", "_most_without_slot", "_waits")

    def __init__(self, most_without_slot: int) -> None:
        self._waits = False
        """Whether instances wait that go before new ones: from a declined first step to a claim that got all there were."""
        self._begun_without_slot = 0
        self._most_without_slot = most_without_slot

    def claimed(self, claim: ClaimTasks, claimed: Claimed) -> None:
        """A claim was answered."""
        if len(claimed.workflow_tasks) < claim.workflow_slots:
            self._waits = False
        if len(claimed.activity_tasks) < claim.activity_slots:
            self._begun_without_slot = 0

    def declined(self) -> None:
        """A first step wasn't taken, for others go before it."""
        self._waits = True

    def may_begin(self, *, has_slot: bool) -> bool:
        """Whether a first step has a chance, and doesn't only make the queue of activities longer.

        A few may begin without a free slot for their activities: these are claimed as soon as one is free.
        """
        if self._waits:
            return False
        if has_slot:
            return True
        self._begun_without_slot += 1
        return self._begun_without_slot <= self._most_without_slot
