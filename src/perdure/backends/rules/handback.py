"""What a commit makes ready goes back, leased, to the worker that made it."""

from __future__ import annotations

from operator import attrgetter

from perdure.backends.admission import Rank, admit
from perdure.backends.endings import LOSSES_OF_A_SUSPECT
from perdure.backends.rows import ActivityRow, InstanceRow
from perdure.backends.rules.leasing import free_permits, lease_activities, lease_instance
from perdure.backends.unit.heads import Asked
from perdure.backends.unit.unit import Unit
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import Offer

_NOT_ASKED = object()


def hand_back_workflow_task(unit: Unit, offer: Offer | None, row: InstanceRow) -> WorkflowTask | None:
    """The instance's next workflow task, if it is due and the committing worker may have it."""
    if offer is None or not offer.workflow_task or row.wake_at is None or row.wake_at > unit.now:
        return None
    if row.state or row.suspended or row.claimed or row.lost >= LOSSES_OF_A_SUSPECT:
        return None
    settings = unit.worker(offer.worker_key)
    if settings is None:
        return None
    if row.worker is None:
        if not settings.serves(row.queue, row.workflow, row.version):
            return None
    elif row.worker != offer.worker_key:
        return None
    return lease_instance(unit, offer.worker_key, row)


def hand_back_activities(
    unit: Unit, offer: Offer, instance: InstanceRow, new: list[ActivityRow]
) -> tuple[ActivityTask, ...]:
    """Lease of `new`, which are due and in nobody's hands, what the committing worker may have."""
    tasks: tuple[ActivityTask, ...] = ()
    queues, names = offer.activity_queues, offer.activity_names
    candidates = [row for row in new if row.queue in queues and row.name in names]
    if candidates and offer.activities > 0 and not instance.suspended and unit.worker(offer.worker_key) is not None:
        if len(candidates) > 1:
            candidates.sort(key=attrgetter("rank"))
        free = free_permits(unit, offer.activity_queues)
        ahead = _first_rank(unit, offer, free, new)
        if ahead is not None or free or len(candidates) > offer.activities:
            candidates = admit(candidates, slots=offer.activities, permits=free, ahead=ahead)
        tasks = lease_activities(unit, offer.worker_key, candidates)
    if len(tasks) < len(new) and not instance.suspended:
        unit.heads.activities_added([row for row in new if row.worker is None])
    return tasks


def _first_rank(unit: Unit, offer: Offer, free: dict[str, int | None], new: list[ActivityRow]) -> Rank | None:
    """The rank of the first activity, but for `new`, that waits on the offered queues and may begin."""
    exhausted = [queue for queue, permits in free.items() if permits == 0] if free else ()
    asked: Asked = (offer.activity_queues, offer.activity_names, *exhausted)
    known = unit.heads.activities.get(asked, _NOT_ASKED)
    if known is not _NOT_ASKED:
        return known  # type: ignore[return-value]
    # What isn't written can't be found. Of `new` nothing is: it is written later, most of it leased already.
    if unit.heads.has_unwritten_activities:
        unwritten = [row for row in new if unit.changes.activities.pop(row.key, None) is not None]
        unit.flush()
        for row in unwritten:
            unit.changes.activities[row.key] = row
    names = offer.activity_names
    queues = [queue for queue in dict.fromkeys(offer.activity_queues) if queue not in exhausted]
    own = {row.key for row in new}
    heads = [head for queue in queues if (head := _head(unit, queue, names, own)) is not None]
    first = unit.heads.activities[asked] = min(heads, default=None)
    return first


def _head(unit: Unit, queue: str, names: frozenset[str], own: set[int]) -> Rank | None:
    here = _head_here(unit, queue, names, own)
    if unit.office is None:
        return here
    other = unit.office.first_activity_elsewhere(queue, names)
    return here if other is None else other if here is None else min(here, other)


def _head_here(unit: Unit, queue: str, names: frozenset[str], own: set[int]) -> Rank | None:
    are_due, are_ready = unit.tables.do_activities_wait(queue, unit.now)
    if not (are_due or are_ready):
        return None
    if are_due:
        unit.tables.promote_activities(queue, unit.now)
    found = unit.tables.ready_activities(queue, names, len(own) + 1)
    return next(((rank, age, number) for rank, age, number, key in found if key not in own), None)


def promote_activities(unit: Unit, queue: str) -> None:
    """Those whose moment has come are ready."""
    if unit.tables.do_activities_wait(queue, unit.now)[0]:
        unit.tables.promote_activities(queue, unit.now)
