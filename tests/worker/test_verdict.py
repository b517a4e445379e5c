from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from perdure.errors import PermanentError
from perdure.model.retry import NO_RETRY, RetryPolicy, stored_retry
from perdure.model.task import ActivityTask
from perdure.model.transition import ActivityFailure, ActivityOpened, ActivityReleased, ActivityResult, ActivityRetry
from perdure.serialization.payloads import Payloads
from perdure.worker.verdict import Cause, End, GivenUp, HowItEnded, LeftOpen, Raised, Returned, decide

PAYLOADS = Payloads()
TIMEOUTS = {Cause.TIMEOUT, Cause.TOTAL_TIMEOUT, Cause.HEARTBEAT_TIMEOUT}


def task(**changes: Any) -> ActivityTask:
    given: dict[str, Any] = {
        "activity_key": 1,
        "token": 2,
        "instance_key": 3,
        "instance_id": "order-7",
        "execution_id": bytes(16),
        "workflow": "checkout",
        "number": 4,
        "name": "charge",
        "arguments": b"[]",
        "queue": "default",
        "priority": 0,
        "attempt": 1,
        "retry": stored_retry(RetryPolicy(jitter=0)),
        "scheduled_at": 0,
        "now": 0,
    }
    return ActivityTask(**{**given, **changes})


def verdict(how: HowItEnded, *causes: Cause, elapsed: int = 0, **changes: Any) -> End | None:
    return decide(task(**changes), how, set(causes), payloads=PAYLOADS, chance=lambda: 0.5, elapsed=lambda: elapsed)


CANCELLED = Raised(asyncio.CancelledError())
BROKEN = Raised(ValueError("no"))


def test_a_return_is_a_result_whatever_was_asked_meanwhile() -> None:
    for count in (0, 1, 2):
        for causes in itertools.combinations(set(Cause) - {Cause.LEASE_LOST}, count):
            assert verdict(Returned(b"1"), *causes) == ActivityResult(b"1")


def test_a1_what_is_left_to_others_is_open_whatever_was_asked_meanwhile() -> None:
    for cause in set(Cause) - {Cause.LEASE_LOST}:
        assert verdict(LeftOpen(), cause, elapsed=7) == ActivityOpened(7)
    assert verdict(LeftOpen(), Cause.LEASE_LOST) is None


def test_k2_of_a_lost_lease_nothing_is_recorded() -> None:
    for how in (Returned(b"1"), CANCELLED, BROKEN, GivenUp()):
        for other in Cause:
            assert verdict(how, Cause.LEASE_LOST, other) is None


def test_an_exception_is_tried_again() -> None:
    end = verdict(BROKEN)

    assert isinstance(end, ActivityRetry)
    assert end.delay == 1_000_000
    assert end.failure.is_type("ValueError")


def test_the_last_attempt_fails_for_good() -> None:
    end = verdict(BROKEN, attempt=3)

    assert isinstance(end, ActivityFailure)
    assert not end.cancelled


def test_a_cancelled_error_that_nobody_asked_for_is_a_failure_like_any_other() -> None:
    end = verdict(CANCELLED)

    assert isinstance(end, ActivityRetry)


@pytest.mark.parametrize("other", [None, Cause.SHUTDOWN, Cause.TIMEOUT, Cause.TOTAL_TIMEOUT])
def test_w7_the_workflows_cancel_ends_it_cancelled(other: Cause | None) -> None:
    end = verdict(CANCELLED, Cause.REQUESTED, *([other] if other else []))

    assert isinstance(end, ActivityFailure)
    assert end.cancelled


def test_another_exception_of_a_cancelled_one_isnt_tried_again() -> None:
    end = verdict(BROKEN, Cause.REQUESTED)

    assert isinstance(end, ActivityFailure)
    assert not end.cancelled
    assert end.failure.is_type("ValueError")


def test_k3_what_the_workers_end_cancelled_is_given_back() -> None:
    assert verdict(CANCELLED, Cause.SHUTDOWN) == ActivityReleased()
    assert verdict(GivenUp(), Cause.SHUTDOWN) == ActivityReleased()


@pytest.mark.parametrize("how", [CANCELLED, GivenUp()])
@pytest.mark.parametrize("cause", [Cause.TIMEOUT, Cause.HEARTBEAT_TIMEOUT])
@pytest.mark.parametrize("other", [None, Cause.SHUTDOWN])
def test_a3_an_attempt_that_ran_out_of_time_is_tried_again(how: HowItEnded, cause: Cause, other: Cause | None) -> None:
    end = verdict(how, cause, *([other] if other else []))

    assert isinstance(end, ActivityRetry)
    assert end.failure.is_type("perdure.errors.ActivityTimeout")
    assert cause.name.lower() in end.failure.message


def test_a3_past_total_timeout_there_is_no_other_attempt() -> None:
    end = verdict(CANCELLED, Cause.TOTAL_TIMEOUT)

    assert isinstance(end, ActivityFailure)
    assert end.failure.is_type("perdure.errors.ActivityTimeout")


def test_a3_an_attempt_that_couldnt_begin_before_total_timeout_isnt_waited_for() -> None:
    end = verdict(BROKEN, total_deadline_at=1_500_000, elapsed=500_000)

    assert isinstance(end, ActivityFailure)
    assert end.failure.is_type("perdure.errors.ActivityTimeout")
    assert end.failure.cause is not None
    assert end.failure.cause.is_type("ValueError")
    assert isinstance(verdict(BROKEN, total_deadline_at=1_500_001, elapsed=500_000), ActivityRetry)


def test_a_time_out_of_the_only_attempt_is_its_failure() -> None:
    assert isinstance(verdict(GivenUp(), Cause.TIMEOUT, retry=stored_retry(NO_RETRY)), ActivityFailure)


def test_what_can_never_work_is_permanent() -> None:
    end = verdict(Raised(ValueError("no"), is_permanent=True))

    assert isinstance(end, ActivityFailure)
    assert end.failure.permanent


def test_trap_the_permanent_flag_isnt_lost_when_an_error_is_wrapped() -> None:
    wrapped = RuntimeError("charging failed")
    wrapped.__cause__ = PermanentError("the card is stolen")
    group = ExceptionGroup("both", [ValueError("one"), PermanentError("two")])

    assert isinstance(verdict(Raised(wrapped)), ActivityFailure)
    assert isinstance(verdict(Raised(group)), ActivityFailure)
