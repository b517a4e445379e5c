"""`activity_test_context`: calling an activity's function in a test, without a worker, where `activity_context()` works."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from perdure.activities.context import ActivityContext, reset_current, set_current
from perdure.clock import SystemClock, random_id, random_token
from perdure.model.retry import RetryPolicy, stored_retry
from perdure.model.task import ActivityTask
from perdure.observability.logging import FieldsLogger, attempt_fields
from perdure.serialization.payloads import Payloads

_log = logging.getLogger("perdure.activity")


class TestedActivity:
    """What surrounds the function under test: what it says, and what it can be told."""

    __test__ = False  # pytest would take it for a class of tests

    def __init__(self, payloads: Payloads, task: ActivityTask) -> None:
        self._payloads = payloads
        self._details: list[bytes | None] = []
        self.is_cancelled = False
        self.is_worker_stopping = False
        self.heartbeat_raises = True
        self.logger = FieldsLogger(_log, attempt_fields(task))

    @property
    def heartbeats(self) -> list[Any]:
        """The details of each heartbeat, as they were stored and read again; None for one without."""
        return [None if details is None else self._payloads.decode(details, Any) for details in self._details]

    def cancel(self) -> None:
        """From now on `cancelled` is true and heartbeats raise CancelledError.

        An `async` function that awaits something hears of it as in production if its task is cancelled, too.
        """
        self.is_cancelled = True

    def stop_worker(self) -> None:
        """From now on `worker_stopping` is true."""
        self.is_worker_stopping = True

    def heartbeat(self, details: bytes | None) -> None:
        """For the context."""
        self._details.append(details)


@contextmanager
def activity_test_context(
    *,
    activity: str = "tested",
    attempt: int = 1,
    instance_id: str = "test",
    workflow: str = "test",
    queue: str = "default",
    heartbeat_details: object = None,
    headers: Mapping[str, str] | None = None,
    payloads: Payloads | None = None,
) -> Iterator[TestedActivity]:
    """Within the block `activity_context()` gives a context with these facts; call the activity's function there.

    `heartbeat_details` are those that an attempt before left. With `payloads=app.payloads` details are encoded as the App does.
    """
    known = payloads or Payloads()
    now = SystemClock().now()
    task = ActivityTask(
        activity_key=0,
        token=random_token(),
        instance_key=0,
        instance_id=instance_id,
        execution_id=random_id(),
        workflow=workflow,
        number=1,
        name=activity,
        arguments=b"[]",
        queue=queue,
        priority=0,
        attempt=attempt,
        retry=stored_retry(RetryPolicy()),
        scheduled_at=now,
        now=now,
        heartbeat_details=None if heartbeat_details is None else known.encode(heartbeat_details),
        headers=dict(headers or {}),
    )
    tested = TestedActivity(known, task)
    token = set_current(ActivityContext(task, tested, known))
    try:
        yield tested
    finally:
        reset_current(token)
