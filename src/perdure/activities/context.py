"""What a running activity can ask: `activity_context()`."""

from __future__ import annotations

import asyncio
import contextvars
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar, overload

from perdure.activities.token import ActivityToken
from perdure.clock import to_datetime
from perdure.errors import PerdureError

if TYPE_CHECKING:
    from perdure.model.task import ActivityTask
    from perdure.observability.logging import FieldsLogger
    from perdure.serialization.payloads import Payloads

T = TypeVar("T")

_current: contextvars.ContextVar[ActivityContext] = contextvars.ContextVar("perdure_activity_context")


class NotInActivity(PerdureError, RuntimeError):
    """`activity_context()` was called where no activity runs."""


class LeavesOpen(BaseException):
    """Ends the function and not the attempt. No Exception, so that none of the function's own handlers takes it for a fault."""


class Attempt(Protocol):
    """The running attempt, as its context sees it. May be asked from any thread."""

    @property
    def is_cancelled(self) -> bool:
        """Whether it has been told to stop, for whatever reason."""
        ...

    @property
    def is_worker_stopping(self) -> bool: ...

    @property
    def logger(self) -> FieldsLogger: ...

    @property
    def heartbeat_raises(self) -> bool:
        """Whether a heartbeat tells of the cancel: a thread hears of it in no other way."""
        ...

    def heartbeat(self, details: bytes | None) -> None:
        """Sign of life; None has no news."""
        ...


class ActivityContext:
    """What one attempt of an activity can know and say. Works in `async` activities and in the threads of plain ones."""

    __slots__ = ("_attempt", "_payloads", "_task")

    def __init__(self, task: ActivityTask, attempt: Attempt, payloads: Payloads) -> None:
        self._task = task
        self._attempt = attempt
        self._payloads = payloads

    @property
    def logger(self) -> FieldsLogger:
        """Its records carry instance_id, execution_id, workflow, activity, attempt, queue and worker."""
        return self._attempt.logger

    @property
    def activity(self) -> str:
        """The activity's name."""
        return self._task.name

    @property
    def attempt(self) -> int:
        """From 1. An attempt that was lost with its worker has the same number again."""
        return self._task.attempt

    @property
    def instance_id(self) -> str:
        """The instance whose workflow asked for it."""
        return self._task.instance_id

    @property
    def execution_id(self) -> str:
        """32 hex digits."""
        return self._task.execution_id.hex()

    @property
    def workflow(self) -> str:
        """The workflow's name."""
        return self._task.workflow

    @property
    def number(self) -> int:
        """The command's number in its execution; with `execution_id` it names the activity, the same in each attempt."""
        return self._task.number

    @property
    def idempotency_key(self) -> str:
        """The same in each attempt and in no other activity: hand it to services that refuse to do a thing twice."""
        return f"{self._task.execution_id.hex()}-{self._task.number}"

    @property
    def queue(self) -> str:
        """The queue that it came from."""
        return self._task.queue

    @property
    def headers(self) -> dict[str, str]:
        """What propagators carry."""
        return self._task.headers

    @property
    def scheduled_at(self) -> datetime:
        """When the workflow asked for it."""
        return to_datetime(self._task.scheduled_at)

    @property
    def token(self) -> str:
        """Names this attempt to another process: `client.complete_activity(token, value)` ends it from there.

        It holds as long as the attempt does: until it ends or is retried, and, before `complete_later`, until its worker stops or
        dies.
        """
        return str(ActivityToken.of(self._task))

    def complete_later(self) -> NoReturn:
        """Leave the function now, and its end to whoever has the `token`: `client.complete_activity` gives the result.

        No slot, thread or worker is kept meanwhile. `timeout` and `total_timeout` go on; with a `heartbeat_timeout`
        `client.heartbeat_activity` must be heard from now on. What it raises is no Exception: let it through.
        """
        raise LeavesOpen

    @property
    def cancelled(self) -> bool:
        """Whether the attempt is to stop: it was cancelled, has run out of time, lost its lease, or the worker ends.

        An `async` activity gets CancelledError as well; a plain one has to look here, or to send heartbeats.
        """
        return self._attempt.is_cancelled

    @property
    def worker_stopping(self) -> bool:
        """Whether the worker is about to stop: after its grace period the attempt is cancelled and given back."""
        return self._attempt.is_worker_stopping

    def heartbeat(self, *details: object) -> None:
        """Say that the attempt is alive, and leave details for the next one: one value, or a tuple of several.

        Cheap: it may be called in a tight loop, the store hears of the last one every few seconds. Without details
        those of before stay. In a plain activity it raises CancelledError once the attempt is to stop. Raises
        EncodeError for details that can't be stored.
        """
        if self._attempt.heartbeat_raises and self._attempt.is_cancelled:
            raise asyncio.CancelledError(f"activity {self._task.name} is to stop")
        if not details:
            self._attempt.heartbeat(None)
            return
        value: object = details[0] if len(details) == 1 else details
        self._attempt.heartbeat(self._payloads.encode(value, Any if len(details) == 1 else tuple[Any, ...]))

    @overload
    def heartbeat_details(self) -> Any: ...
    @overload
    def heartbeat_details(self, type: type[T]) -> T | None: ...
    def heartbeat_details(self, type: Any = Any) -> Any:  # noqa: A002 - it reads as what it is
        """The last details that the attempt before left, decoded to `type`; None if there are none.

        Raises DecodeError if they don't fit.
        """
        details = self._task.heartbeat_details
        return None if details is None else self._payloads.decode(details, type)


def activity_context() -> ActivityContext:
    """The context of the activity that is running. Raises NotInActivity."""
    try:
        return _current.get()
    except LookupError:
        raise NotInActivity("activity_context() works in a running activity alone") from None


def set_current(context: ActivityContext) -> contextvars.Token[ActivityContext]:
    """Make `context` what activity_context() finds, in the current contextvars context."""
    return _current.set(context)


def reset_current(token: contextvars.Token[ActivityContext]) -> None:
    """Take back what `set_current` did."""
    _current.reset(token)
