from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from perdure.backends.admission import Bucket, Rank, admit, next_permit_at, permits, rank_of, refill, take
from perdure.model.inspection import QueueLimits

SECOND = 1_000_000


@dataclass(frozen=True)
class Waiting:
    queue: str
    rank: Rank


candidates = st.lists(
    st.builds(
        Waiting,
        st.sampled_from("abc"),
        st.builds(rank_of, st.integers(-2, 2), st.integers(1, 5), st.integers(1, 50)),
    ),
    max_size=30,
).map(lambda some: sorted(some, key=lambda one: one.rank))


@given(candidates, st.integers(0, 10), st.dictionaries(st.sampled_from("ab"), st.none() | st.integers(0, 4)))
def test_admission_takes_the_first_that_slots_and_permits_allow(
    waiting: list[Waiting], slots: int, free: dict[str, int | None]
) -> None:
    admitted = admit(waiting, slots=slots, permits=free)
    assert len(admitted) <= slots
    for queue, limit in free.items():
        assert limit is None or sum(one.queue == queue for one in admitted) <= limit
    left_out = [one for one in waiting if one not in admitted]
    for one in left_out if len(admitted) < slots else []:
        limit = free.get(one.queue)
        assert limit is not None
        assert sum(other.queue == one.queue and other.rank <= one.rank for other in admitted) == limit


@given(candidates, st.builds(rank_of, st.integers(-2, 2), st.integers(1, 5), st.integers(1, 50)))
def test_a_hand_back_gives_out_nothing_behind_what_waits(waiting: list[Waiting], ahead: Rank) -> None:
    admitted = admit(waiting, slots=100, permits={}, ahead=ahead)
    assert admitted == [one for one in waiting if one.rank <= ahead]


def test_a_paused_queue_has_no_permits() -> None:
    assert permits(QueueLimits(paused=True, at_once=9), running=0, bucket=None, now=0) == 0


def test_what_runs_takes_permits_away() -> None:
    limits = QueueLimits(at_once=3)
    assert [permits(limits, running=running, bucket=None, now=0) for running in range(5)] == [3, 2, 1, 0, 0]
    assert permits(QueueLimits(), running=99, bucket=None, now=0) is None


@given(st.floats(0.1, 1000), st.lists(st.integers(0, 3 * SECOND), min_size=1, max_size=40))
def test_never_more_begin_than_a_burst_and_the_rate(rate: float, steps: list[int]) -> None:
    limits = QueueLimits(per_second=rate)
    bucket: Bucket | None = None
    now = begun = 0
    for step in steps:
        now += step
        free = permits(limits, running=0, bucket=bucket, now=now)
        assert free is not None
        bucket = take(limits, bucket, now, free)
        begun += free
        assert begun <= max(1.0, rate) + rate * now / SECOND + 1e-3


@given(st.floats(0.1, 1000), st.integers(0, 10 * SECOND))
def test_the_next_permit_is_there_when_it_was_said_to_be(rate: float, now: int) -> None:
    limits = QueueLimits(per_second=rate)
    bucket = Bucket(0.3, 0)
    at = next_permit_at(limits, running=0, bucket=bucket, now=now)
    assert at is not None
    assert (permits(limits, running=0, bucket=bucket, now=at) or 0) >= 1
    if at > now + 1:
        assert permits(limits, running=0, bucket=bucket, now=at - 2) == 0


def test_a_clock_that_jumps_back_refills_nothing() -> None:
    limits = QueueLimits(per_second=10.0)
    assert refill(limits, Bucket(2.0, 5 * SECOND), 0) == Bucket(2.0, 5 * SECOND)


def test_time_gives_no_permit_where_something_else_is_missing() -> None:
    bucket = Bucket(0.0, 0)
    assert next_permit_at(QueueLimits(paused=True, per_second=1.0), running=0, bucket=bucket, now=0) is None
    assert next_permit_at(QueueLimits(at_once=1, per_second=1.0), running=1, bucket=bucket, now=0) is None
    assert next_permit_at(QueueLimits(at_once=1), running=0, bucket=None, now=0) is None
