"""A look at what a claim would find, by one partition of several."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from perdure.backends.rules.claiming import claimed
from perdure.backends.rules.handback import promote_activities
from perdure.backends.rules.leasing import free_permits
from perdure.backends.rules.queueing import promote_instances
from perdure.backends.unit.tables import Place
from perdure.backends.unit.unit import Unit
from perdure.model.transition import Claimed, ClaimTasks

Waiting = tuple[int, int, int, str]
"""An activity: rank, instance and number, by which they are claimed, and its queue."""


class Peek(msgspec.Struct, frozen=True):
    """What the claim would be told if it took nothing, and what it could take, the first ones first."""

    claimed: Claimed
    instances: list[Place] = []
    activities: list[Waiting] = []
    permits: dict[str, int] = {}
    """Of limited queues: what all partitions together may begin."""


def peek(unit: Unit, claim: ClaimTasks) -> Peek:
    if unit.worker(claim.worker_key) is None:
        return Peek(Claimed(now=unit.now))
    unit.flush()
    survey = unit.tables.survey(claim, unit.now)
    told = claimed(unit, claim, (), (), survey)
    instances = _instances(unit, claim) if survey.has_workflow_task and claim.workflow_slots > 0 else []
    if not survey.has_activity or claim.activity_slots == 0:
        return Peek(told, instances)
    permits = free_permits(unit, claim.activity_queues)
    limited = {queue: free for queue, free in permits.items() if free is not None}
    return Peek(told, instances, _activities(unit, claim, limited), limited)


def _instances(unit: Unit, claim: ClaimTasks) -> list[Place]:
    slots = claim.workflow_slots
    found = list(unit.tables.held_instances(claim.worker_key, unit.now, slots))
    for queue in dict.fromkeys(claim.workflow_queues):
        promote_instances(unit, queue)
        found += unit.tables.ready_instances(queue, claim.workflow_names, claim.versions, slots)
    return sorted(found)[:slots]


def _activities(unit: Unit, claim: ClaimTasks, permits: Mapping[str, int]) -> list[Waiting]:
    slots = claim.activity_slots
    found: list[Waiting] = []
    for queue in dict.fromkeys(claim.activity_queues):
        most = min(slots, permits.get(queue, slots))
        if most > 0:
            promote_activities(unit, queue)
            ready = unit.tables.ready_activities(queue, claim.activity_names, most)
            found += [(rank, instance, number, queue) for rank, instance, number, _ in ready]
    return sorted(found)[:slots]
