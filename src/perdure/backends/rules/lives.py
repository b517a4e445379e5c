"""Workers' lives, and what time brings: lapsed leases, time-outs, deadlines, what may be forgotten."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from perdure.backends.endings import DEAD_WORKERS_KEPT, LOSSES_IN_A_ROW, losses_reason
from perdure.backends.protocol import Beat, Housekeeping, WorkerStart
from perdure.backends.rows import RESHAPED
from perdure.backends.rules.attempts import expire, lose_attempt, release_attempt
from perdure.backends.rules.closing import release
from perdure.backends.rules.letters import relay
from perdure.backends.rules.limiting import follow_first
from perdure.backends.rules.operators import pass_deadline
from perdure.backends.rules.stuck import stick
from perdure.backends.unit.tables import House, WorkerRow
from perdure.backends.unit.unit import Unit
from perdure.clock import Micros

_encode = msgspec.msgpack.Encoder().encode
_LAST_WORDS = 60 * 1_000_000
"""So long after its death a worker's leases are looked for again: where many write at once, a commit of its own may have been
under way that began before."""
_AT_ONCE = 1_000  # of what a round of housekeeping finds expired; the next round goes on


def start_worker(
    unit: Unit, start: WorkerStart, machine: str = "", lock_name: str = "", *, key: int | None = None
) -> int:
    """Gives its key: a new one, if it isn't a worker of other partitions already.

    `lock_name` is the file whose lock the worker's process holds, on a machine where others can see it.
    """
    if key is None:
        key = unit.keys.draw(unit.now)
    lease_until = unit.now + round(start.lease_seconds * 1_000_000)
    lease = lease_until - unit.now
    encoded = _encode(start)
    unit.tables.insert_worker(
        WorkerRow(key, start.name, machine, lock_name, encoded, unit.now, unit.now, lease, lease_until)
    )
    return key


def beat(unit: Unit, worker_key: int) -> Beat:
    now = unit.now
    if unit.seal_target() is not None:
        return Beat(is_alive=False, now=now)
    return Beat(is_alive=unit.tables.beat(worker_key, now), now=now)


def merge_beats(beats: Sequence[Beat]) -> Beat:
    """Of a worker in several partitions: it lives as long as it does in all of them."""
    return Beat(is_alive=all(beat.is_alive for beat in beats), now=max(beat.now for beat in beats))


def stop_worker(unit: Unit, worker_key: int) -> None:
    give_leases_back(unit, worker_key)
    unit.flush()
    unit.tables.delete_worker(worker_key)
    unit.worker_changed(worker_key)
    unit.wakes.worker_due(worker_key, unit.now)


def retire_worker(unit: Unit, worker_key: int, running: Collection[tuple[int, int]]) -> None:
    start = unit.worker(worker_key)
    if start is not None:
        retired = msgspec.structs.replace(start, is_retired=True)
        unit.tables.put_worker_start(worker_key, _encode(retired))
        unit.worker_changed(worker_key)
    give_leases_back(unit, worker_key, but=running)


def give_leases_back(unit: Unit, worker_key: int, but: Collection[tuple[int, int]] = ()) -> None:
    """Nothing of it counts as lost. `but` are the keys and tokens of activities that it keeps."""
    kept = set(but)
    unit.flush()
    _release_instances(unit, worker_key)
    activities = unit.tables.activities_of_worker(worker_key)
    unit.prefetch((), (), activities)
    for key in activities:
        row = unit.activity(key)
        if row is not None and (key, row.token) not in kept:
            release_attempt(unit, row)


def housekeep(unit: Unit, lost_workers: Collection[int] = ()) -> Housekeeping:
    """`lost_workers` are dead though their leases haven't lapsed."""
    unit.flush()
    now = unit.now
    house = unit.tables.look_round(now, died_since=now - _LAST_WORDS, workers_before=now - DEAD_WORKERS_KEPT)
    if house.has_questions:  # told already, but not everybody hears, and not everybody who does can answer
        unit.wakes.questions.update(unit.tables.all_workers())
    if not lost_workers and not house.is_untidy:
        return Housekeeping(next_lapse_in=_left(unit, house))
    # First, for afterwards they would be found again, with all that this batch itself is about to end.
    left = unit.tables.leases_of_dead(unit.now - _LAST_WORDS)
    lost = {*unit.tables.lapsed_workers(unit.now), *lost_workers}
    for key in sorted(lost):
        unit.tables.mark_worker_dead(key, unit.now)
        unit.worker_changed(key)
    stuck: list[str] = []
    activities_lost = sum(_take_over(unit, key, stuck) for key in sorted({*lost, *left}))
    expired, passed = _expire_activities(unit), _pass_deadlines(unit)
    relay(unit)
    follow_first(unit)
    _forget(unit)
    return Housekeeping(
        workers_lost=len(lost),
        activities_lost=activities_lost,
        activities_expired=expired,
        deadlines_passed=passed,
        stuck=tuple(stuck),
        next_lapse_in=0 if lost or left else _left(unit, house),  # there may be more of them than one batch can end
    )


def _left(unit: Unit, house: House) -> Micros | None:
    return None if house.lapses_at is None else max(0, house.lapses_at - unit.now)


def merge_housekeeping(rounds: Sequence[Housekeeping]) -> Housekeeping:
    """Of several partitions, which all find the same workers dead."""
    return Housekeeping(
        workers_lost=max(each.workers_lost for each in rounds),
        activities_lost=sum(each.activities_lost for each in rounds),
        activities_expired=sum(each.activities_expired for each in rounds),
        deadlines_passed=sum(each.deadlines_passed for each in rounds),
        stuck=tuple(instance_id for each in rounds for instance_id in each.stuck),
        next_lapse_in=min((each.next_lapse_in for each in rounds if each.next_lapse_in is not None), default=None),
    )


def _forget(unit: Unit) -> None:
    """Let go of what nobody will ask for again."""
    unit.flush()
    unit.tables.forget(unit.now, workers_before=unit.now - DEAD_WORKERS_KEPT)


def _take_over(unit: Unit, worker_key: int, stuck: list[str]) -> int:
    """End the leases of a dead worker; how many activity attempts were lost. Ids of those that are stuck now are added."""
    unit.flush()
    claimed = unit.tables.claimed_of_worker(worker_key)
    unit.prefetch((), claimed, ())
    for key in claimed:
        row = unit.instance(key)
        assert row is not None
        release(unit, row)
        row.lost += 1
        unit.change(row, RESHAPED)
        if row.lost >= LOSSES_IN_A_ROW:
            stick(unit, row, losses_reason(), None)
            stuck.append(row.instance_id)
    unit.flush()
    _release_instances(unit, worker_key)
    activities = unit.tables.activities_of_worker(worker_key)
    unit.prefetch((), (), activities)
    for key in activities:
        row_of = unit.activity(key)
        if row_of is not None:
            lose_attempt(unit, row_of)
    unit.wakes.worker_due(worker_key, unit.now)
    return len(activities)


def _release_instances(unit: Unit, worker_key: int) -> None:
    """All at once: a worker may hold 100,000."""
    for queue, due_at in unit.tables.release_instances(worker_key, unit.now):
        unit.wakes.workflow_due(queue, due_at)
    unit.rows_changed()


def _expire_activities(unit: Unit) -> int:
    unit.flush()
    found = unit.tables.activities_expired(unit.now, _AT_ONCE)
    return sum(row is not None and expire(unit, row) for row in [unit.activity(key) for key in found])


def _pass_deadlines(unit: Unit) -> int:
    unit.flush()
    passed = 0
    for key in unit.tables.instances_past_deadline(unit.now, _AT_ONCE):
        row = unit.instance(key)
        if row is not None and row.is_running:  # one may have ended with its parent, a moment ago
            pass_deadline(unit, row)
            passed += 1
    return passed
