"""What a unit asks of a store that has several partitions, besides its tables: of letters to and from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from perdure.backends.admission import Rank
from perdure.backends.keys import LastKey
from perdure.backends.letters import Answer, Letter
from perdure.backends.partition import Partition
from perdure.backends.unit.tables import Place
from perdure.clock import Micros


class Undelivered(Exception):
    """Letters of the instance are on their way: it can't be removed yet."""


class Office(Protocol):
    """One partition's. Reads see what this batch has written."""

    partition: Partition
    last_key: LastKey

    def has_posted(self, message_id: bytes) -> bool:
        """Whether the letter lies in the outbox."""
        ...

    def undelivered(self, instance_keys: Sequence[int]) -> set[int]:
        """Of which of these instances letters do."""
        ...

    def due(self, now: Micros, limit: int) -> list[Letter]:
        """Letters that nobody has delivered for a while, oldest first; for a while they are others' no more."""
        ...

    def is_still_posted(self, letter: Letter) -> bool:
        """Whether a letter to this partition lies in the outbox of its sender's."""
        ...

    def answer_to(self, message_id: bytes) -> Answer | None:
        """What came of a letter that was received here before."""
        ...

    def first_instance_elsewhere(
        self, queue: str, names: frozenset[str], versions: frozenset[str] | None
    ) -> Place | None:
        """Who is known to wait first in the other partitions: a guess."""
        ...

    def first_activity_elsewhere(self, queue: str, names: frozenset[str]) -> Rank | None: ...

    def limits_that_differ(self, now: Micros) -> Mapping[str, bytes | None]:
        """Limits of queues that the first partition has otherwise, None if it has none; looked for now and then."""
        ...

    def children_away(self, parent_id: str, execution_id: bytes) -> Mapping[str, bool]:
        """Sub-workflows of an execution that live in other partitions, and whether they are known to be there."""
        ...
