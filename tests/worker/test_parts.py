"""The small parts of the worker, each by itself."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from perdure.clock import SystemClock
from perdure.errors import StoreCorrupt, StoreUnavailable
from perdure.model.transition import Claimed, ClaimTasks, Heartbeat
from perdure.worker.backlog import Backlog
from perdure.worker.backoff import Backoff, until_done
from perdure.worker.heartbeats import Heartbeats
from perdure.worker.poller import Appetite
from perdure.worker.slots import Slots
from perdure.worker.stopping import StopRequest
from perdure.worker.store_time import StoreTime
from perdure.worker.threads import Threads
from perdure.worker.waiting import first_of
from tests.worker.support import until

LOG = logging.getLogger("tests.worker")


# --- slots


def test_slots_are_taken_as_far_as_there_are_any() -> None:
    slots = Slots(3)

    assert [slots.take(2), slots.take(2), slots.take(2)] == [2, 1, 0]
    assert slots.free_count == 0


def test_who_waits_for_slots_hears_of_freed_ones_not_of_those_put_back() -> None:
    heard: list[int] = []
    slots = Slots(3)
    slots.listeners.append(lambda: heard.append(slots.free_count))

    slots.take(3)
    slots.put_back(1)
    slots.free(2)
    slots.free(0)

    assert heard == [3]


def test_a_slot_cant_be_freed_twice() -> None:
    with pytest.raises(AssertionError):
        Slots(1).free()


# --- trying again


@pytest.fixture
async def loop_time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The event loop's, set by hand."""
    seconds = [50.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: seconds[0])
    return seconds


async def test_pauses_grow_with_jitter_and_stay_bounded(
    caplog: pytest.LogCaptureFixture, loop_time: list[float]
) -> None:
    backoff = Backoff(LOG, "asking")

    pauses = []
    for _ in range(20):
        pauses.append(backoff.failed(StoreUnavailable("away")))
        loop_time[0] += pauses[-1]
    backoff.worked()
    backoff.worked()

    assert all(0.05 <= pause <= 2 for pause in pauses)
    assert max(pauses[:2]) < min(pauses[-5:])
    assert [record.message.split(",")[0] for record in caplog.records] == ["asking failed", "asking works again"]


async def test_what_fails_now_and_then_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    backoff = Backoff(LOG, "asking")
    with caplog.at_level(logging.DEBUG, LOG.name):
        for _ in range(50):
            backoff.failed(StoreUnavailable("a part of it is away"))
            backoff.worked()

    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2 + ["DEBUG"] * 98


async def test_many_who_fail_at_one_moment_wait_no_longer_than_one(loop_time: list[float]) -> None:
    backoff = Backoff(LOG, "asking")

    pauses = [backoff.failed(StoreUnavailable("away")) for _ in range(200)]

    assert max(pauses) <= 0.1


async def test_what_no_waiting_mends_isnt_tried_again() -> None:
    asked: list[int] = []

    async def ask() -> None:
        asked.append(1)
        if len(asked) < 2:
            raise StoreUnavailable("away")
        raise StoreCorrupt("a row can't be read")

    with pytest.raises(StoreCorrupt):
        await until_done(ask, Backoff(LOG, "asking"))
    assert len(asked) == 2


# --- the store's time


class StillClock(SystemClock):
    def __init__(self) -> None:
        self.wall, self.seconds = 1_000, 50.0

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds


def test_b7_the_stores_time_goes_on_when_the_clock_here_is_set() -> None:
    clock = StillClock()
    time = StoreTime(clock)

    assert time.now() == 1_000
    time.observe(9_000_000)
    clock.seconds += 2
    clock.wall = 0

    assert time.now() == 11_000_000


# --- threads


async def test_threads_are_made_when_needed_and_no_more_than_allowed() -> None:
    threads = Threads(2, "tests")
    free, running, ended = threading.Event(), [], []

    def job() -> None:
        running.append(threading.current_thread())
        free.wait(10)

    for _ in range(4):
        threads.run(job, lambda: ended.append(threading.current_thread()))
    await until(lambda: len(running) == 2)
    assert threads.waiting_count == 2
    free.set()
    await until(lambda: len(ended) == 4)

    assert len(set(running)) == 2
    assert all(each.daemon for each in running)
    assert set(ended) == {threading.main_thread()}
    threads.close()
    await until(lambda: not any(each.is_alive() for each in running))


# --- heartbeats


def heartbeats(sent: list[bytes | None], **changes: Any) -> Heartbeats:
    async def send(details: bytes | None) -> Heartbeat:
        sent.append(details)
        return Heartbeat(True)

    given: dict[str, Any] = {
        "details": None,
        "timeout_seconds": None,
        "send": send,
        "heard": lambda answer: None,
        "missed": lambda: None,
        "spawn": asyncio.ensure_future,
    }
    return Heartbeats(**{**given, **changes})


async def test_the_first_beat_is_sent_at_once_and_the_last_one_is_flushed() -> None:
    sent: list[bytes | None] = []
    beats = heartbeats(sent)

    beats.beat(b"1")
    await until(lambda: sent)
    beats.beat(b"2")
    beats.beat(b"3")
    beats.beat(None)
    beats.stop()
    beats.beat(b"4")
    await beats.flush()
    await beats.flush()

    assert sent == [b"1", b"3"]


async def test_a_beat_without_details_keeps_those_of_the_attempt_before() -> None:
    sent: list[bytes | None] = []
    beats = heartbeats(sent, details=b"7")

    beats.beat(None)
    await until(lambda: sent)

    assert sent == [b"7"]


async def test_beats_that_the_store_couldnt_take_go_with_a_later_one() -> None:
    sent: list[bytes | None] = []

    async def send(details: bytes | None) -> Heartbeat:
        sent.append(details)
        if len(sent) == 1:
            raise StoreUnavailable("away")
        return Heartbeat(True)

    beats = heartbeats(sent, send=send, timeout_seconds=0.2)
    beats.beat(b"1")
    await until(lambda: len(sent) == 2)

    assert sent == [b"1", b"1"]
    beats.stop()


async def test_beats_are_missed_after_the_time_out_alone() -> None:
    missed: list[float] = []
    loop = asyncio.get_running_loop()
    beats = heartbeats([], timeout_seconds=0.1, missed=lambda: missed.append(loop.time()))
    beats.start()
    for _ in range(10):
        await asyncio.sleep(0.02)
        beats.beat(None)
    last = loop.time()
    await until(lambda: missed)

    assert missed[0] - last >= 0.09


# --- stopping and waiting


async def test_a_second_signal_hurries() -> None:
    stop = StopRequest()

    stop.request_or_hurry()
    assert (stop.is_requested, stop.is_hurried) == (True, False)
    stop.request_or_hurry()
    assert stop.is_hurried
    await stop.wait()
    await stop.wait_for_hurry()


async def test_the_first_of_several_ends_the_others() -> None:
    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    await first_of(wait(), asyncio.sleep(0.001))

    assert ended == ["cancelled"]


def test_claims_ask_for_little_until_more_comes_than_they_ask_for() -> None:
    appetite = Appetite()
    least = appetite.slots
    for _ in range(10):
        appetite.got(appetite.slots)
    most = appetite.slots
    assert most > 8 * least
    appetite.got(most // 2)
    assert appetite.slots == most // 2
    appetite.got(0)
    assert appetite.slots == least


def claim(workflow_slots: int, activity_slots: int) -> ClaimTasks:
    return ClaimTasks(
        worker_key=1,
        workflow_queues=("default",),
        workflow_slots=workflow_slots,
        workflow_names=frozenset(),
        activity_queues=("default",),
        activity_slots=activity_slots,
        activity_names=frozenset(),
    )


def test_nothing_new_begins_from_a_declined_step_to_a_claim_that_got_all_there_was() -> None:
    backlog = Backlog(most_without_slot=2)
    assert backlog.may_begin(has_slot=True)
    backlog.declined()
    assert not backlog.may_begin(has_slot=True)
    backlog.claimed(claim(0, 0), Claimed())  # it asked for nothing, and so learned nothing
    assert not backlog.may_begin(has_slot=True)
    backlog.claimed(claim(1, 0), Claimed())
    assert backlog.may_begin(has_slot=True)


def test_a_few_begin_without_a_slot_until_no_activity_waits() -> None:
    backlog = Backlog(most_without_slot=2)
    assert [backlog.may_begin(has_slot=False) for _ in range(3)] == [True, True, False]
    backlog.claimed(claim(0, 0), Claimed())
    assert not backlog.may_begin(has_slot=False)
    backlog.claimed(claim(0, 1), Claimed())
    assert backlog.may_begin(has_slot=False)
