"""Who waits on queues, as far as it is known without asking: for stores with many writers.

A *line* is what of a table waits on a queue. What comes back with a commit begins only if nobody waits in line before it, and to
ask that first would be a round trip more for each step. So a look that found nobody is a guess for the next steps, until the first
one is due that the look saw coming; what was decided by a guess is written only if it holds (`Plan.lines`), and else is a Conflict
that forgets all guesses. Where a look finds somebody nothing is guessed for a second: it is asked each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from perdure.backends.rows import READY, WAITING
from perdure.backends.unit.changes import Changes
from perdure.clock import Micros

Table = Literal["instances", "activities"]
Line = tuple[Table, str]
"""A table and a queue."""
Guess = tuple[Table, str, Micros, Micros]
"""That nobody stands in a line: table and queue, since when to look, and the time."""

_NEVER: Micros = 1 << 62
_BUSY: Micros = 1_000_000
"""A wrong guess costs more than some right ones save."""


class Lines:
    """What is known of them between batches."""

    def __init__(self) -> None:
        self._empty_until: dict[Line, Micros] = {}
        """Of lines in which nobody stood, when the first one will be due."""
        self._busy_until: dict[Line, Micros] = {}
        self._taken: dict[Line, Micros] = {}

    def take_for_empty(self, line: Line, now: Micros) -> bool:
        """Whether it probably is; then the batch depends on that."""
        is_empty = now < self._empty_until.get(line, now)
        if is_empty:
            self._taken[line] = now
        return is_empty

    def looked(self, line: Line, now: Micros, first_at: Micros | None, *, is_ready: bool) -> None:
        """Whether somebody is ready, and when the first of the others will be due."""
        if is_ready or (first_at is not None and first_at <= now):
            self.is_used(line)
            self._busy_until[line] = now + _BUSY
        elif now >= self._busy_until.get(line, now):
            self._empty_until[line] = _NEVER if first_at is None else first_at

    def is_used(self, line: Line) -> None:
        """Somebody may stand there."""
        self._empty_until.pop(line, None)

    def taken(self) -> list[tuple[Table, str, Micros]]:
        """What the batch took for empty, and when, since this was asked last."""
        taken = [(*line, now) for line, now in self._taken.items()]
        self._taken.clear()
        return taken

    def written(self, changes: Changes) -> None:
        """These are about to be written."""
        if self._empty_until:
            instances = ((row.queue, row.phase, row.wake_at) for row in changes.instances.values())
            activities = ((row.queue, row.phase, row.due_at) for row in changes.activities.values())
            self._queue_up("instances", instances)
            self._queue_up("activities", activities)

    def _queue_up(self, table: Table, rows: Iterable[tuple[str, int, Micros | None]]) -> None:
        for queue, phase, at in rows:
            if phase == READY:
                self.is_used((table, queue))
            elif phase == WAITING and at is not None and at < self._empty_until.get((table, queue), 0):
                self._empty_until[table, queue] = at

    def batch_ended(self) -> None:
        self._taken.clear()

    def forget(self) -> None:
        """A guess was wrong, or nothing is known any more."""
        self._taken.clear()
        self._empty_until.clear()
