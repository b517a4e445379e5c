"""Recording how an attempt ended, by itself: until it is durable, refused, or the lease is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from perdure.backends.answers import may_have_happened
from perdure.backends.protocol import Backend
from perdure.errors import StoreError, StoreFilling, StoreFull, StoreReadOnly, StoreUnavailable
from perdure.model.failure import plain_failure
from perdure.model.task import ActivityTask, WorkflowTask
from perdure.model.transition import (
    ActivityFailure,
    ActivityOpened,
    ActivityReleased,
    CompleteActivityTask,
    Offer,
    Recorded,
    Rejected,
)
from perdure.observability.logging import Log, attempt_fields, text_of
from perdure.worker.backoff import HOPELESS, Backoff
from perdure.worker.heartbeats import Heartbeats
from perdure.worker.verdict import End

_PASSING = (StoreUnavailable, StoreFull, StoreReadOnly, StoreFilling)
"""What a store may recover from; any other StoreError is about the value."""


class EndRecorder:
    """Sends ends of attempts, each in a transition of its own."""

    def __init__(self, backend: Backend, uncertain: Callable[[], None], logger: Log) -> None:
        self._backend = backend
        self._uncertain = uncertain
        self._logger = logger
        self._backoff = Backoff(logger, "recording the end of an activity")

    async def record(
        self, task: ActivityTask, end: End, offer: Offer | None = None, heartbeats: Heartbeats | None = None
    ) -> WorkflowTask | None:
        """The instance's next workflow task, if that came back. Repeats it while the store is away: what took place is refused then, and harms nothing.

        An end that the store can't hold becomes a failure that says so: else the attempt would never end.
        """
        if heartbeats is not None:
            await self._flush(task, heartbeats)
        refused: StoreError | None = None
        while True:
            try:
                outcome = await self._backend.commit(
                    CompleteActivityTask(activity_key=task.activity_key, token=task.token, end=end, offer=offer)
                )
            except HOPELESS:
                raise
            except StoreError as problem:
                if offer is not None and may_have_happened(problem):
                    self._uncertain()
                if isinstance(problem, _PASSING) or refused is not None:
                    await asyncio.sleep(self._backoff.failed(problem))
                    continue
                refused = problem
                self._logger.error(  # noqa: TRY400 - the driver's error, in the stack, may quote what it was given
                    "the store can't hold the end of activity %s of %s, which fails with that: %s",
                    task.name,
                    task.instance_id,
                    text_of(problem),
                    extra=attempt_fields(task),
                )
                end = _refusal(task, problem)
            else:
                self._backoff.worked()
                return self._look_at(task, end, outcome)

    def _look_at(self, task: ActivityTask, end: End, outcome: Recorded | Rejected) -> WorkflowTask | None:
        if isinstance(outcome, Recorded):
            return outcome.workflow_task
        if not isinstance(
            end, (ActivityReleased, ActivityOpened)
        ):  # whoever has the token may be faster than the function
            self._logger.info(
                "the end of activity %s of %s wasn't recorded: %s",
                task.name,
                task.instance_id,
                outcome.reason,
                extra=attempt_fields(task),
            )
        return None

    async def _flush(self, task: ActivityTask, heartbeats: Heartbeats) -> None:
        try:
            await heartbeats.flush()
        except StoreError as problem:
            self._logger.warning(
                "the last heartbeat details of activity %s of %s are lost: %s",
                task.name,
                task.instance_id,
                text_of(problem),
                extra=attempt_fields(task),
            )


def _refusal(task: ActivityTask, problem: StoreError) -> ActivityFailure:
    said = str(problem).encode("ascii", "replace").decode().replace("\0", "?")[:1_000]
    text = f"the store can't hold how activity {task.name} ended: {said}"
    return ActivityFailure(plain_failure("StoreError", text, permanent=True))
