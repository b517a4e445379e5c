"""What a batch knows of those that wait first on the queues, so that it asks the tables once."""

from __future__ import annotations

from perdure.backends.admission import Rank
from perdure.backends.rows import InstanceRow
from perdure.backends.unit.tables import Place


class Heads:
    """Good for one batch, in which time stands still."""

    __slots__ = ("activities", "has_unwritten_activities", "has_unwritten_instances", "instances", "loose")

    def __init__(self) -> None:
        self.activities: dict[object, Rank | None] = {}
        """What hand-back has found; good until an activity comes or goes that anybody may claim."""
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
