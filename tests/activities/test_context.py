from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import Any

import pytest

from perdure.activities.context import ActivityContext, NotInActivity, activity_context, set_current
from perdure.errors import DecodeError, EncodeError
from perdure.model.retry import NO_RETRY, stored_retry
from perdure.model.task import ActivityTask
from perdure.observability.logging import FieldsLogger
from perdure.serialization.payloads import Payloads


class StillAttempt:
    """An attempt that only notes what it is told."""

    def __init__(self, *, heartbeat_raises: bool = False) -> None:
        self.beats: list[bytes | None] = []
        self.is_cancelled = False
        self.is_worker_stopping = False
        self.heartbeat_raises = heartbeat_raises
        self.logger = FieldsLogger(logging.getLogger("tests"), {})

    def heartbeat(self, details: bytes | None) -> None:
        self.beats.append(details)


def context_of(running: StillAttempt, /, **changes: Any) -> ActivityContext:
    given: dict[str, Any] = {
        "activity_key": 1,
        "token": 2,
        "instance_key": 3,
        "instance_id": "order-7",
        "execution_id": bytes(range(16)),
        "workflow": "checkout",
        "number": 4,
        "name": "charge",
        "arguments": b"[]",
        "queue": "eu",
        "priority": 0,
        "attempt": 2,
        "retry": stored_retry(NO_RETRY),
        "scheduled_at": 0,
        "now": 0,
    }
    return ActivityContext(ActivityTask(**{**given, **changes}), running, Payloads())


def test_outside_of_an_activity_there_is_no_context() -> None:
    with pytest.raises(NotInActivity):
        activity_context()


def test_it_is_found_wherever_the_contextvars_go() -> None:
    context = context_of(StillAttempt())
    inside = contextvars.copy_context()
    inside.run(set_current, context)

    assert inside.run(activity_context) is context


def test_heartbeats_carry_one_value_several_or_none() -> None:
    attempt = StillAttempt()
    context = context_of(attempt)

    context.heartbeat(7)
    context.heartbeat("file", 7)
    context.heartbeat()

    assert attempt.beats == [b"7", b'["file",7]', None]


def test_details_that_cant_be_stored_are_refused() -> None:
    with pytest.raises(EncodeError):
        context_of(StillAttempt()).heartbeat(object())


def test_last_details_are_read_as_the_type_asked_for() -> None:
    context = context_of(StillAttempt(), heartbeat_details=b'["file",7]')

    assert context.heartbeat_details() == ["file", 7]
    assert context.heartbeat_details(tuple[str, int]) == ("file", 7)
    assert context_of(StillAttempt()).heartbeat_details(int) is None
    with pytest.raises(DecodeError):
        context.heartbeat_details(int)


@pytest.mark.parametrize("heartbeat_raises", [False, True])
def test_a_heartbeat_of_a_thread_tells_of_the_cancel(heartbeat_raises: bool) -> None:
    attempt = StillAttempt(heartbeat_raises=heartbeat_raises)
    attempt.is_cancelled = True
    context = context_of(attempt)

    assert context.cancelled
    if heartbeat_raises:
        with pytest.raises(asyncio.CancelledError):
            context.heartbeat()
    else:
        context.heartbeat()


def test_the_idempotency_key_is_the_same_in_each_attempt() -> None:
    first, second = (context_of(StillAttempt(), attempt=attempt) for attempt in (1, 2))

    assert first.idempotency_key == second.idempotency_key == f"{bytes(range(16)).hex()}-4"
    assert first.idempotency_key != context_of(StillAttempt(), number=5).idempotency_key
