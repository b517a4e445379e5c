"""A look at what a claim would find, by one partition of several."""

from __future__ import annotations

import msgspec

from perdure.backends.rules.claiming import claimed
from perdure.backends.rules.handback import promote_activities
from perdure.backends.rules.leasing import free_permits
from perdure.backends.rules.queueing import promote_instances
from perdure.backends.unit.tables import Place
from perdure.backends.unit.unit import Unit
from perdure.model.transition import Claimed, ClaimTasks


class Peek(msgspec.Struct, frozen=True):
    """What the claim would be told if it took nothing, and what it could take, the first ones first."""

    claimed: Claimed
    instances: list[Place] = []
    activities: list[tuple[int, int, int]] = []


def peek(unit: Unit, claim: ClaimTasks) -> Peek:
    if unit.worker(claim.worker_key) is None:
        return Peek(Claimed(now=unit.now))
    unit.flush()
    survey = unit.tables.survey(claim, unit.now)
    return Peek(
        claimed(unit, claim, (), (), survey),
        _instances(unit, claim) if survey.has_workflow_task and claim.workflow_slots > 0 else [],
        _activities(unit, claim) if survey.has_activity and claim.activity_slots > 0 else [],
    )


def _instances(unit: Unit, claim: ClaimTasks) -> list[Place]:
    slots = claim.workflow_slots
    found = list(unit.tables.held_instances(claim.worker_key, unit.now, slots))
    for queue in dict.fromkeys(claim.workflow_queues):
        promote_instances(unit, queue)
        found += unit.tables.ready_instances(queue, claim.workflow_names, claim.versions, slots)
    return sorted(found)[:slots]


def _activities(unit: Unit, claim: ClaimTasks) -> list[tuple[int, int, int]]:
    slots = claim.activity_slots
    queues = tuple(dict.fromkeys(claim.activity_queues))
    free = free_permits(unit, queues)
    found: list[tuple[int, int, int]] = []
    for queue in queues:
        permits = free.get(queue)
        most = slots if permits is None else min(permits, slots)
        if most > 0:
            promote_activities(unit, queue)
            ready = unit.tables.ready_activities(queue, claim.activity_names, most)
            found += [(rank, instance, number) for rank, instance, number, _ in ready]
    return sorted(found)[:slots]
