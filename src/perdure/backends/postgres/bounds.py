"""From when on somebody may stand in a line, so that a look at it passes over all who have left it.

An index keeps the entries of rows that have changed for as long as anybody's open transaction might still look at them, and each
look from the beginning of a line visits them all. But whoever joins a line is due no earlier than at that moment
(`Changes.settle_phases`). So a look that found nobody, or only somebody who came later, is good for a *bound*: the next one begins
there.

What a transaction writes is seen when it ends, which may be long after. Hence the *horizon*: a moment of which all transactions that
were writing then have ended, told from the server's own list of these. No bound is ahead of it; while a stranger writes in an open
transaction, bounds stand still. Machines whose calls are under way for longer than the slack are the reason for a look from the
beginning once a minute.
"""

from __future__ import annotations

from collections.abc import Hashable

from perdure.clock import Micros

_SLACK: Micros = 5_000_000
"""A transaction writes the time of before it began; clocks of machines differ a little."""
_GOOD_FOR: Micros = 60_000_000
_RECENT: Micros = 15_000_000


class Bounds:
    """Belongs to the thread that writes."""

    def __init__(self) -> None:
        self._now: Micros = 0
        self._horizon: Micros = 0
        self._awaited: tuple[Micros, int] | None = None
        """A moment, and the number of the first transaction that hadn't begun by then: the next horizon."""
        self._lines: dict[Hashable, tuple[Micros, Micros]] = {}
        """Their bounds, and until when these are good."""

    def forget(self) -> None:
        """Look from the beginning: what was seen may no longer be so."""
        self._horizon, self._awaited = 0, None
        self._lines.clear()

    def since(self, line: Hashable) -> Micros:
        """Nobody stands there of before that; 0 for a look from the beginning."""
        bound, until = self._lines.get(line, (0, 0))
        if self._now < until:
            return bound
        self._lines.pop(line, None)  # so that `found` knows that it wasn't
        return 0

    def is_recent(self, line: Hashable) -> bool:
        """Whether so few can stand there that they are quickly found by the time of their coming."""
        return self.since(line) > self._now - _RECENT

    def saw(self, now: Micros, oldest: int, following: int) -> None:
        """The first transaction that still writes, and the first that hasn't begun, as a look has seen them."""
        if now < self._horizon:  # the server's clock was set back
            self.forget()
        self._now = now
        if self._awaited is None or oldest >= self._awaited[1]:
            self._horizon = 0 if self._awaited is None else self._awaited[0]
            self._awaited = (self._now - _SLACK, following)

    def found(self, now: Micros, line: Hashable, first_at: Micros | None) -> None:
        """A look from `since` on has found this one first, or nobody."""
        self._now = now
        _, until = self._lines.get(line, (0, now + _GOOD_FOR))
        bound = self._horizon if first_at is None else min(first_at, self._horizon)
        self._lines[line] = (bound, until)
