"""Whether a lease was ever held twice at a time, told from what the processes saw.

A worker *holds* a lease from the moment that it hears of it until the first of:

- it asks the store for what ends the lease (a last checkpoint, a result, giving it back);
- it signs off, or its process is killed;
- its last answered heartbeat, counted from before it was asked, is a lease ago: from then on the store may take over.

Each of these comes before the store can lease the thing to somebody else, who hears of it later still: so if the next lease on
the same thing is heard of while one is held, the store has given it out twice. But for a process that stood still, and hears
of a lease only when its own time is over: that one is held by nobody.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tests.chaos.witness import (
    Announced,
    Asked,
    AttemptBegan,
    Beaten,
    GivesUp,
    Killed,
    Leased,
    Seen,
    SignsOff,
    Thing,
    Written,
)


class Lease:
    """One token's time with one thing."""

    def __init__(self, process: str, line: Leased) -> None:
        self.thing = line.thing
        self.token = line.token
        self.parent = line.parent
        self.process = process
        self.worker = line.worker
        self.asked_for_at = line.asked_at
        self.tasks_at = [line.at]
        """When it came, and came again for an instance that stayed in memory."""
        self.given_up_at = math.inf
        self.checkpoint_asked_at = -math.inf
        """When the store was asked last to take a checkpoint."""
        self.written: list[Written] = []

    @property
    def since(self) -> float:
        return self.tasks_at[0]

    def __str__(self) -> str:
        return f"token {self.token} of {self.process} (from {self.since:.3f})"


class Life:
    """A worker's, under one key."""

    def __init__(self, line: Announced) -> None:
        self.lease_seconds = line.lease_seconds
        self.beaten_at = line.asked_at
        self.signed_off_at = math.inf

    @property
    def ends_at(self) -> float:
        return min(self.signed_off_at, self.beaten_at + self.lease_seconds)


class Leases:
    """All leases of a run. `seen` must be in order of time."""

    def __init__(self, seen: Sequence[Seen]) -> None:
        self.of_thing: dict[Thing, list[Lease]] = defaultdict(list)
        self.deaths = {each.line.process: each.line.at for each in seen if isinstance(each.line, Killed)}
        self._lives: dict[int, Life] = {}
        self._by_token: dict[tuple[Thing, int], Lease] = {}
        self._attempts: dict[Thing, list[tuple[float, int]]] = defaultdict(list)
        self._problems: list[str] = []
        for each in seen:
            self._note(each)

    def held_until(self, lease: Lease) -> float:
        death = self.deaths.get(lease.process, math.inf)
        return min(lease.given_up_at, self._lives[lease.worker].ends_at, death)

    def last_attempt(self, thing: Thing) -> int | None:
        """The token of the attempt that began last."""
        attempts = self._attempts.get(thing)
        return attempts[-1][1] if attempts else None

    def problems(self) -> Iterator[str]:
        """Every lease that was held beside another one, and every trace of one that shouldn't have been."""
        yield from self._problems
        for thing, leases in self.of_thing.items():
            in_time = [lease for lease in leases if lease.written or not self._is_stale(lease)]
            for former, latter in pairwise(in_time):
                yield from self._of_neighbours(former, latter)
            ends = [(lease, written) for lease in leases for written in lease.written if written.ends]
            if len(ends) > 1:
                yield f"{thing}: its end was recorded {len(ends)} times, under {', '.join(str(lease) for lease, _ in ends)}"
        yield from self._attempt_problems()

    def _is_stale(self, lease: Lease) -> bool:
        """Whether its process heard of it when its time was over, as one may that stood still."""
        return lease.since >= self._lives[lease.worker].ends_at

    def _of_neighbours(self, former: Lease, latter: Lease) -> Iterator[str]:
        until = self.held_until(former)
        if until > latter.since:
            still = "for ever" if until == math.inf else f"for {until - latter.since:.3f} s"
            yield f"{former.thing}: {former} was still held, {still}, when {latter} was given out"
        for written in former.written:
            if written.asked_at > latter.since:
                yield f"{former.thing}: {former} wrote at {written.asked_at:.3f}, when {latter} had been given out"

    def _attempt_problems(self) -> Iterator[str]:
        for thing, attempts in self._attempts.items():
            for token, count in Counter(token for _, token in attempts).items():
                if count > 1:
                    yield f"{thing}: the attempt with token {token} was begun {count} times"
            for at, token in attempts:
                lease = self._by_token.get((thing, token))
                if lease is not None and at > self._lives[lease.worker].ends_at:
                    yield f"{thing}: an attempt began at {at:.3f}, when the lease of {lease} was over"

    # --- reading the lines

    def _note(self, seen: Seen) -> None:
        match seen.line:
            case Announced(worker=worker):
                self._lives[worker] = Life(seen.line)
            case Beaten(worker=worker, asked_at=asked_at):
                self._lives[worker].beaten_at = max(asked_at, self._lives[worker].beaten_at)
            case SignsOff(worker=worker, at=at):
                self._lives[worker].signed_off_at = min(at, self._lives[worker].signed_off_at)
            case Leased():
                self._note_lease(seen.process, seen.line)
            case GivesUp(at=at):
                for lease in self._of(seen, seen.line.thing, seen.line.token):
                    lease.given_up_at = min(lease.given_up_at, at)
            case Asked(at=at):
                for lease in self._of(seen, seen.line.thing, seen.line.token):
                    lease.checkpoint_asked_at = at
            case Written():
                for lease in self._of(seen, seen.line.thing, seen.line.token):
                    lease.written.append(seen.line)
            case AttemptBegan(thing=thing, token=token, at=at):
                self._attempts[thing].append((at, token))
                self._of(seen, thing, token)
            case _:
                pass

    def _note_lease(self, process: str, line: Leased) -> None:
        known = self._by_token.get((line.thing, line.token))
        if known is None:
            lease = self._by_token[line.thing, line.token] = Lease(process, line)
            self.of_thing[line.thing].append(lease)
        elif known.worker != line.worker:
            self._problems.append(f"{line.thing}: {process} was given {known}, too")
        else:
            known.tasks_at.append(line.at)

    def _of(self, seen: Seen, thing: Thing, token: int) -> tuple[Lease, ...]:
        lease = self._by_token.get((thing, token))
        if lease is not None and lease.process == seen.process:
            return (lease,)
        self._problems.append(f"{thing}: {seen.process} used token {token}, which it was never given: {seen.line}")
        return ()
