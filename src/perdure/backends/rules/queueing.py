"""Whose turn it is on a worker's workflow queues: an instance may begin with its creation if nothing waits before it.

What waits is asked once per batch and worker, and from then on followed in memory (`Heads.loose`): it costs no statement
that creations come in any number, whether they are to begin at once or have to wait.
"""

from __future__ import annotations

from typing import Final

from perdure.backends.protocol import WorkerStart
from perdure.backends.rows import READY, InstanceRow
from perdure.backends.unit.tables import Place
from perdure.backends.unit.unit import Unit
from perdure.model.transition import CreateInstance


def may_begin(unit: Unit, worker_key: int, start: CreateInstance) -> bool:
    """Whether the worker's next claim would bring the new instance before all others.

    What the worker itself holds stands on no queue: it goes on whoever begins.
    """
    settings = unit.worker(worker_key)
    if settings is None or start.start_delay > 0:
        return False
    if not settings.serves(start.queue, start.workflow, start.version):
        return False
    first = _first_waiting(unit, worker_key, settings)
    # Whoever is there already is older.
    return first is None or first[0] > -start.priority


def promote_instances(unit: Unit, queue: str) -> None:
    """Those whose moment has come are ready."""
    if unit.tables.do_instances_wait(queue, unit.now)[0]:
        unit.tables.promote_instances(queue, unit.now)


UNKNOWN: Final = (0, -1)


def _first_waiting(unit: Unit, worker_key: int, settings: WorkerStart) -> Place | None:
    """Where the first instance stands that is due, in nobody's hands, and that the worker may claim."""
    if unit.heads.loose:
        _follow(unit)
    first = unit.heads.instances.get(worker_key, UNKNOWN)
    if first is UNKNOWN or _has_gone(unit, first):
        if unit.heads.has_unwritten_instances:
            unit.flush()
        first = _read_first(unit, settings)
        if _has_gone(unit, first):
            unit.flush()
            first = _read_first(unit, settings)
        unit.heads.instances[worker_key] = first
    return first


def _follow(unit: Unit) -> None:
    """Take note of what has become claimable in this batch."""
    for row in unit.heads.loose:
        if _is_ready(unit, row):
            unit.heads.has_unwritten_instances = True
            place = (-row.priority, row.key)
            for worker_key, first in unit.heads.instances.items():
                settings = unit.worker(worker_key)
                if settings is not None and settings.serves(row.queue, row.workflow, row.version):
                    unit.heads.instances[worker_key] = place if first is None else min(place, first)
    unit.heads.loose.clear()


def _is_ready(unit: Unit, row: InstanceRow) -> bool:
    return row.phase_at(unit.now) == READY


def _has_gone(unit: Unit, first: Place | None) -> bool:
    """Whether this batch has taken the first one away; who is the next is known when that is written."""
    if first is None or not unit.keys.partition.owns(first[1]):  # others partitions' are followed by nobody here
        return False
    row = unit.instance(first[1])
    return row is None or not _is_ready(unit, row)


def _read_first(unit: Unit, settings: WorkerStart) -> Place | None:
    first: Place | None = None
    for queue in dict.fromkeys(settings.workflow_queues):
        if unit.office is not None:
            other = unit.office.first_instance_elsewhere(queue, settings.workflow_names, settings.versions)
            first = first if other is None else other if first is None else min(other, first)
        are_due, are_ready = unit.tables.do_instances_wait(queue, unit.now)
        if not (are_due or are_ready):
            continue
        if are_due:
            unit.tables.promote_instances(queue, unit.now)
        for found in unit.tables.ready_instances(queue, settings.workflow_names, settings.versions, 1):
            first = found if first is None else min(found, first)
    return first
