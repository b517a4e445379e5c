"""What a commit makes ready goes back, leased, to the worker that made it."""

from __future__ import annotations

from perdure.backends.admission import Rank, admit
from perdure.backends.sqlite import statements as sql
from perdure.backends.sqlite.rows import ActivityRow, InstanceRow
from perdure.backends.sqlite.rules.leasing import free_permits, lease_activities, lease_instance
from perdure.backends.sqlite.unit import Unit, as_json
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import Offer

_NOT_ASKED = object()


def hand_back_workflow_task(unit: Unit, offer: Offer | None, row: InstanceRow) -> WorkflowTask | None:
    """The instance's next workflow task, if it is due and the committing worker may have it."""
    if offer is None or not offer.workflow_task or row.wake_at is None or row.wake_at > unit.now:
        return None
    if row.state or row.suspended or row.claimed:
        return None
    if row.worker != offer.worker_key and (row.worker is not None or not _serves(unit, offer.worker_key, row)):
        return None
    return None if unit.worker(offer.worker_key) is None else lease_instance(unit, offer.worker_key, row)


def _serves(unit: Unit, worker_key: int, row: InstanceRow) -> bool:
    start = unit.worker(worker_key)
    return (
        start is not None
        and row.queue in start.workflow_queues
        and row.workflow in start.workflow_names
        and (start.versions is None or row.version in start.versions)
    )


def hand_back_activities(
    unit: Unit, offer: Offer, instance: InstanceRow, new: list[ActivityRow]
) -> tuple[ActivityTask, ...]:
    """Lease of `new`, which are due and in nobody's hands, what the committing worker may have."""
    tasks: tuple[ActivityTask, ...] = ()
    candidates = [row for row in new if row.queue in offer.activity_queues and row.name in offer.activity_names]
    if candidates and offer.activities > 0 and not instance.suspended and unit.worker(offer.worker_key) is not None:
        if len(candidates) > 1:
            candidates.sort(key=lambda row: row.rank)
        free = free_permits(unit, offer.activity_queues)
        ahead = _first_rank(unit, offer, free, new)
        admitted = admit(candidates, slots=offer.activities, permits=free, ahead=ahead)
        tasks = lease_activities(unit, offer.worker_key, admitted)
    if len(tasks) < len(new):
        unit.heads.clear()
    return tasks


def _first_rank(unit: Unit, offer: Offer, free: dict[str, int | None], new: list[ActivityRow]) -> Rank | None:
    """The rank of the first activity, but for `new`, that waits on the offered queues and may begin."""
    exhausted = [queue for queue, permits in free.items() if permits == 0]
    asked = (offer.activity_queues, offer.activity_names, *exhausted)
    known = unit.heads.get(asked, _NOT_ASKED)
    if known is not _NOT_ASKED:
        return known  # type: ignore[return-value]
    # What isn't written can't be found; it is written later, leased already.
    unwritten = [row for row in new if unit.writes.activities.pop(row.key, None) is not None]
    unit.flush()
    names = as_json(sorted(offer.activity_names)).decode()
    queues = [queue for queue in dict.fromkeys(offer.activity_queues) if queue not in exhausted]
    own = {row.key for row in new}
    heads = [head for queue in queues if (head := _head(unit, queue, names, own)) is not None]
    for row in unwritten:
        unit.writes.activities[row.key] = row
    first = unit.heads[asked] = min(heads, default=None)
    return first


def _head(unit: Unit, queue: str, names: str, own: set[int]) -> Rank | None:
    promote_activities(unit, queue)
    found = unit.connection.execute(sql.READY_ACTIVITIES, (queue, names, len(own) + 1))
    return next(((rank, age, number) for rank, age, number, key in found.fetchall() if key not in own), None)


def promote_activities(unit: Unit, queue: str) -> None:
    """Those whose moment has come are ready."""
    if unit.connection.execute(sql.IS_ACTIVITY_DUE, (queue, unit.now)).fetchone() is not None:
        unit.connection.execute(sql.PROMOTE_ACTIVITIES, (queue, unit.now))
