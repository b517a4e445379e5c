"""What a batch knows of those that wait first on the queues, so that it asks the tables once."""

from __future__ import annotations

from collections.abc import Iterable

from perdure.backends.admission import Rank
from perdure.backends.rows import ActivityRow, InstanceRow
from perdure.backends.unit.tables import Place

Asked = tuple[tuple[str, ...], frozenset[str], *tuple[str, ...]]
"""Queues and names of activities that a worker takes, and those of the queues that let none begin."""


class Heads:
    """Good for one batch, in which time stands still."""

    __slots__ = ("activities", "has_unwritten_activities", "has_unwritten_instances", "instances", "loose")

    def __init__(self) -> None:
        self.activities: dict[Asked, Rank | None] = {}
        """What hand-back has found on queues, for names, but for queues without permits. What comes is followed, and
        when one goes that anybody could claim it is no longer good."""
        self.has_unwritten_activities = False
        """Whether one did, so that the tables don't show it yet."""
        self.instances: dict[int, Place | None] = {}
        """Of each worker that asked, the first instance that it may claim."""
        self.has_unwritten_instances = False
        """Whether one has become claimable that the tables don't show yet."""
        self.loose: list[InstanceRow] = []
        """Instances that have changed and that nobody holds: some may have become claimable."""

    def clear(self) -> None:
        """Nothing is known, and all is written or forgotten."""
        self.activities.clear()
        self.instances.clear()
        self.loose.clear()
        self.written()

    def written(self) -> None:
        """The tables show everything now."""
        self.has_unwritten_activities = self.has_unwritten_instances = False

    def activities_moved(self) -> None:
        """Activities have become due for anybody, or are no longer: who asks for the first one must look again."""
        self.activities.clear()
        self.has_unwritten_activities = True

    def activities_added(self, rows: Iterable[ActivityRow]) -> None:
        """New ones are due for anybody."""
        self.has_unwritten_activities = True
        for asked, first in self.activities.items():
            queues, names, *exhausted = asked
            ranks = [
                row.rank for row in rows if row.queue in queues and row.name in names and row.queue not in exhausted
            ]
            if ranks:
                self.activities[asked] = min(ranks) if first is None else min(first, *ranks)
