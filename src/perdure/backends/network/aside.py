"""Jobs whose rows somebody else keeps locked, or changes all the time: they wait here, so that nobody waits for them, and are
tried again alone."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet

from perdure.backends.group_commit import Job
from perdure.backends.rules.table import wanted_rows

_PATIENCE_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.2


class Aside:
    """Keeps the order of those that want the same rows."""

    def __init__(self) -> None:
        self._until: dict[Job, float] = {}
        """Until when each is tried again, in order of arrival."""
        self._tried: dict[Job, float] = {}
        """The same of those that were taken out for the next attempt."""
        self._pause = _FIRST_PAUSE_SECONDS
        self._again_at = 0.0

    def __len__(self) -> int:
        return len(self._until)

    @property
    def jobs(self) -> list[Job]:
        return list(self._until)

    @property
    def seconds(self) -> float:
        """How long it is until they are to be tried again."""
        return max(0.0, self._again_at - time.monotonic())

    def put(self, jobs: Iterable[Job]) -> list[Job]:
        """Gives those that have waited for too long already."""
        now = time.monotonic()
        if not self._until:
            self._again_at = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        late = []
        for job in jobs:
            until = self._tried.get(job, now + _PATIENCE_SECONDS)
            if until > now:
                self._until[job] = until
            else:
                late.append(job)
        return late

    def hold_back(self, batch: list[Job]) -> list[Job]:
        """What of the batch has nothing to do with those that wait; the rest waits behind them."""
        if not self._until:
            return batch
        rows = {row for job in self._until for row in rows_of(job)}
        behind = touching(batch, rows)
        self.put(behind)
        return [job for job in batch if job not in behind]

    def take_all(self) -> list[Job]:
        """For another attempt."""
        self._tried, self._until = self._until, {}
        return list(self._tried)

    def settled(self) -> None:
        """The attempt is over."""
        self._tried = {}
        if not self._until:
            self._pause = _FIRST_PAUSE_SECONDS


def touching(jobs: Collection[Job], rows: AbstractSet[object]) -> set[Job]:
    """Those that want any of these rows."""
    return {job for job in jobs if not rows.isdisjoint(rows_of(job))}


def rows_of(job: Job) -> list[object]:
    """Ids and keys of what the job is known to want, before it is applied."""
    return [row for some in wanted_rows([job.work]) for row in some]
