"""Which part of a failed batch is tried next, and how jobs come and go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.backends.answers import Answer
from perdure.backends.group_commit import Backlog, Halves, Job, Mailbox, as_store_error
from perdure.errors import StoreError, StoreFull, StoreUnavailable


def _commit(batch: list[int], culprits: set[int]) -> tuple[list[int], list[int]]:
    """What was committed, in order, and what was blamed."""
    halves = Halves(batch)
    committed: list[int] = []
    blamed: list[int] = []
    while (part := halves.take()) is not None:
        if culprits & set(part):
            culprit = halves.failed(part)
            if culprit is not None:
                blamed.append(culprit)
        else:
            committed += part
    return committed, blamed


@given(st.integers(0, 200), st.sets(st.integers(0, 199)))
def test_whatever_jobs_fail_the_others_are_committed_once_and_in_order(number: int, culprits: set[int]) -> None:
    batch = list(range(number))
    committed, blamed = _commit(batch, culprits)
    assert committed == [job for job in batch if job not in culprits]
    assert blamed == [job for job in batch if job in culprits]


def test_one_culprit_of_a_thousand_costs_a_score_of_tries() -> None:
    halves = Halves(list(range(1000)))
    tries = 0
    while (part := halves.take()) is not None:
        tries += 1
        if 613 in part:
            halves.failed(part)
    assert tries < 25


def test_a_known_culprit_is_left_out_at_once() -> None:
    halves = Halves([1, 2, 3])
    part = halves.take()
    assert part is not None
    halves.without(part, (2,))
    assert (halves.take(), halves.take()) == ([1, 3], None)


async def test_a_backlog_is_taken_in_bounded_batches_in_order_of_arrival() -> None:
    mailbox = Mailbox(asyncio.get_running_loop(), lambda jobs: None)
    jobs = [Job(number, mailbox) for number in range(7)]
    backlog = Backlog()
    backlog.add(jobs)
    first = backlog.take(3)
    backlog.put_back(first[2:])
    assert [job.work for job in [*first[:2], *backlog.take(3), *backlog.take(3)]] == list(range(7))
    assert not backlog


async def test_all_jobs_of_a_turn_go_over_at_once() -> None:
    handed: list[list[Job]] = []
    mailbox = Mailbox(asyncio.get_running_loop(), handed.append)
    answers = [mailbox.submit(number) for number in range(5)]
    await asyncio.sleep(0)
    assert [len(jobs) for jobs in handed] == [5]
    for job in handed[0]:
        job.outcome = job.work
    mailbox.settle(handed[0])
    assert [await answer for answer in answers] == [0, 1, 2, 3, 4]


async def test_draining_waits_for_jobs_under_way_and_then_refuses_more() -> None:
    handed: list[list[Job]] = []
    mailbox = Mailbox(asyncio.get_running_loop(), handed.append)
    answer = mailbox.submit("last")
    draining = asyncio.create_task(mailbox.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    mailbox.settle(handed[0])
    await draining
    assert answer.is_settled
    with pytest.raises(StoreUnavailable, match="closed") as caught:
        await mailbox.submit("too late")
    assert caught.value.is_unwritten


async def test_a_cancelled_caller_disturbs_nobody() -> None:
    handed: list[list[Job]] = []
    mailbox = Mailbox(asyncio.get_running_loop(), handed.append)
    first, second = (asyncio.create_task(_wait(mailbox.submit(number))) for number in (1, 2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    for job in handed[0]:
        job.outcome = "done"
    mailbox.settle(handed[0])
    assert await second == "done"
    assert first.cancelled()


async def _wait(answer: Answer[Any]) -> Any:
    return await answer


async def test_a_lonely_job_goes_over_at_once_if_the_one_before_was_lonely_too() -> None:
    """A step after the other shouldn't wait for the turn of the loop; where there is company, it is waited for."""
    handed: list[list[Job]] = []
    mailbox = Mailbox(asyncio.get_running_loop(), handed.append)
    mailbox.submit(1)
    assert not handed
    await asyncio.sleep(0)
    mailbox.settle(handed[0])
    mailbox.submit(2)
    assert [len(jobs) for jobs in handed] == [1, 1]
    mailbox.submit(3)
    mailbox.submit(4)
    assert len(handed) == 2
    await asyncio.sleep(0)
    assert [len(jobs) for jobs in handed] == [1, 1, 2]
    for jobs in handed[1:]:
        mailbox.settle(jobs)
    mailbox.submit(5)
    assert len(handed) == 3


async def test_a_callback_that_fails_is_reported_and_disturbs_nobody() -> None:
    loop = asyncio.get_running_loop()
    handed: list[list[Job]] = []
    reported: list[object] = []
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    mailbox = Mailbox(loop, handed.append)
    broken = ValueError("broken")

    def fail(_: object) -> None:
        raise broken

    mailbox.submit(1).add_done_callback(fail)
    second = mailbox.submit(2)
    await asyncio.sleep(0)
    mailbox.settle(handed[0])
    assert second.is_settled
    assert reported == [broken]


def test_strange_errors_become_store_errors_and_our_own_stay() -> None:
    full = StoreFull("no space")
    assert as_store_error(full) is full
    error = as_store_error(OverflowError("too large"))
    assert isinstance(error, StoreError)
    assert isinstance(error.__cause__, OverflowError)
