"""How long what a killed worker held had to wait until another worker took it.

From its death on if there was something to do: an activity that it ran, an instance whose task was out. For an instance that
it only kept in memory, from when something arrived: a signal, the result of an activity or of a sub-workflow, a timer. Arrivals
that the dead worker may have applied already are left out. While the server is away nothing can be taken: an outage that ends
after that moment begins the wait anew.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from tests.chaos.leases import Lease, Leases
from tests.chaos.witness import Kind, Seen, ServerBack, Signalled, Thing


class Wait(msgspec.Struct, frozen=True, order=True):
    seconds: float
    thing: Thing
    process: str

    def __str__(self) -> str:
        return f"{self.thing} waited {self.seconds:.2f} s after {self.process} was killed"


def waits_after_deaths(seen: Sequence[Seen], leases: Leases) -> list[Wait]:
    """Of everything that a killed worker held and another one took, longest first."""
    arrivals = _arrivals(seen, leases)
    outages = [each.line for each in seen if isinstance(each.line, ServerBack)]
    waits: list[Wait] = []
    for each in leases.of_thing.values():
        for former, latter in pairwise(each):
            due_at = _due_at(former, latter, leases, arrivals)
            for outage in outages:
                if due_at < outage.at < latter.since:
                    due_at = outage.at
            if due_at < latter.since:
                waits.append(Wait(latter.since - due_at, former.thing, former.process))
    return sorted(waits, reverse=True)


def _due_at(former: Lease, latter: Lease, leases: Leases, arrivals: dict[str, list[tuple[float, float]]]) -> float:
    """From when on another worker might have taken it; never, if it wasn't a dead one's."""
    died_at = leases.deaths.get(former.process, math.inf)
    if died_at > latter.since or leases.held_until(former) < died_at:
        return math.inf
    return died_at if _is_working(former) else max(died_at, _next_arrival(former, arrivals))


def _is_working(lease: Lease) -> bool:
    """Whether its last task was still out."""
    return lease.thing.kind is Kind.ACTIVITY or not lease.written or lease.written[-1].at < lease.tasks_at[-1]


def _next_arrival(lease: Lease, arrivals: dict[str, list[tuple[float, float]]]) -> float:
    """When the instance was due again, after all that its holder knew."""
    timer = lease.written[-1].next_timer_at
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
