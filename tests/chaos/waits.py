"""How long what a killed worker held had to wait until another worker took it.

From its death on if there was something to do: an activity that it ran, an instance whose task was out. For an instance that
it only kept in memory, from when something arrived: a signal, the result of an activity or of a sub-workflow, a timer. Arrivals
that the dead worker may have applied already are left out. While the server is away nothing can be taken: that time is taken
off.

Where there is more to do than the workers can, it then stands in a queue, as everything does, and nobody's death is to blame
for that. So what counts is the *needless* wait: until the last time that a worker was told that there was no more to do.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import attrgetter

import msgspec

from tests.chaos.leases import Lease, Leases
from tests.chaos.witness import HandsFree, Kind, Seen, ServerBack, ServerGoes, Signalled, Thing


class Wait(msgspec.Struct, frozen=True, order=True):
    needless_seconds: float
    seconds: float
    thing: Thing
    process: str

    def __str__(self) -> str:
        return (
            f"{self.thing} waited {self.seconds:.2f} s after {self.process} was killed, {self.needless_seconds:.2f} s of them "
            f"while others had their hands free"
        )


class Outages:
    """When the server was away."""

    def __init__(self, seen: Iterable[Seen]) -> None:
        self._spans: list[tuple[float, float]] = []
        goes_at = -math.inf
        for each in seen:
            match each.line:
                case ServerGoes(at=at):
                    goes_at = at
                case ServerBack(at=at):
                    self._spans.append((goes_at, at))
                case _:
                    pass

    def seconds(self, since: float, until: float) -> float:
        """From then till then, without what was spent away."""
        away = sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in self._spans)
        return max(0.0, until - since - away)


def waits_after_deaths(seen: Sequence[Seen], leases: Leases) -> list[Wait]:
    """Of everything that a killed worker held and another one took, longest first."""
    arrivals = _arrivals(seen, leases)
    outages = Outages(seen)
    free = {kind: _hands_free(seen, kind) for kind in Kind}
    waits: list[Wait] = []
    for each in leases.of_thing.values():
        for former, latter in pairwise(each):
            due_at, taken_at = _due_at(former, latter, leases, arrivals), latter.since
            if due_at < taken_at:
                claims = free[former.thing.kind]
                before = bisect_left(claims, latter.asked_for_at, key=attrgetter("at"))
                last = max(due_at, claims[before - 1].asked_at) if before else due_at
                waits.append(
                    Wait(outages.seconds(due_at, last), outages.seconds(due_at, taken_at), former.thing, former.process)
                )
    return sorted(waits, reverse=True)


def _hands_free(seen: Iterable[Seen], kind: Kind) -> list[HandsFree]:
    """In the order of their answers."""
    return [each.line for each in seen if isinstance(each.line, HandsFree) and each.line.kind is kind]


def _due_at(former: Lease, latter: Lease, leases: Leases, arrivals: dict[str, list[tuple[float, float]]]) -> float:
    """From when on another worker might have taken it; never, if it wasn't a dead one's."""
    died_at = leases.deaths.get(former.process, math.inf)
    if died_at > latter.since or leases.held_until(former) < died_at:
        return math.inf
    return died_at if _is_working(former) else max(died_at, _next_arrival(former, arrivals))


def _is_working(lease: Lease) -> bool:
    """Whether its last task was still out. If its checkpoint was on the way to the store, nobody knows: it may have arrived."""
    if lease.thing.kind is Kind.ACTIVITY:
        return True
    written_at = lease.written[-1].at if lease.written else -math.inf
    return max(written_at, lease.checkpoint_asked_at) < lease.tasks_at[-1]


def _next_arrival(lease: Lease, arrivals: dict[str, list[tuple[float, float]]]) -> float:
    """When the instance was due again, after all that its holder knew."""
    is_known = lease.written and lease.written[-1].at >= lease.checkpoint_asked_at
    timer = lease.written[-1].next_timer_at if is_known else None  # a checkpoint on its way may have seen to the timer
    found = arrivals.get(lease.thing.instance_id, [])
    first = bisect_right(found, (lease.tasks_at[-1], math.inf))
    arrived = min((at for _, at in found[first:]), default=math.inf)
    return min(arrived, math.inf if timer is None else timer)


def _arrivals(seen: Sequence[Seen], leases: Leases) -> dict[str, list[tuple[float, float]]]:
    """For each instance: when something was sent to it, and when that was known to be durable; in order."""
    arrivals: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for each in seen:
        if isinstance(each.line, Signalled):
            arrivals[each.line.instance_id].append((each.line.asked_at, each.line.at))
    for held in leases.of_thing.values():
        for lease in held:
            receiver = lease.thing.instance_id if lease.thing.kind is Kind.ACTIVITY else lease.parent
            if receiver is not None:
                ends = (written for written in lease.written if written.ends and not written.is_fused)
                arrivals[receiver].extend((written.asked_at, written.at) for written in ends)
    for found in arrivals.values():
        found.sort()
    return arrivals
