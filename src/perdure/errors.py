"""Every error that perdure raises, in one tree.

PerdureError
├── ConfigurationError            a wrong option, URL or definition: fix the code that calls
│   └── RegistrationError         a workflow or activity that can't be registered as it is
├── InvalidName                   an id, name or queue that no store would take
├── ArgumentsError                a call's arguments don't fit the signature
├── PayloadError                  a value that can't be stored or read back
│   ├── EncodeError, DecodeError, PayloadTooLarge
├── InstanceError                 (instance_id) what a client asked of one instance can't be done
│   ├── InstanceNotFound, InstanceAlreadyExists, InstanceNotRunning, InstanceNotFinished
│   ├── HandlerNotFound           its workflow has no such query or update
│   ├── NotAnswered               nobody answered in time
│   ├── QueryFailed               the query's handler raised, or history can't be read with today's code
│   ├── UpdateRefused, UpdateFailed, UpdateNotHandled
│   └── WorkflowEnded             the instance didn't end with a result
│       └── WorkflowFailed, WorkflowCancelled, WorkflowTerminated
├── StoreError                    the store's fault, not the workflow's
│   ├── StoreUnavailable, StoreReadOnly, StoreFull, StoreCorrupt, StoreSealed, StoreFilling, SchemaMismatch
│   └── StoreUsageError           a call that this store can't serve (a dead-lock avoided, say)
├── ActivityError                 raised in workflow code: an activity failed (its type isn't known here)
│   └── ActivityTimeout, WorkerLost
├── SubWorkflowError              raised in workflow code: a sub-workflow failed
├── SignalNotDelivered            raised in workflow code: ctx.signal_workflow found nobody
├── CompensationFailed            raised in workflow code: a step of a saga couldn't be taken back
├── PermanentError                raise it in an activity: no retry will help
├── DeadlineExceeded              the failure of a workflow that outlived its timeout
├── NonDeterminismError           today's code isn't what history was made with
├── NotInWorkflow                 workflow code called what can't be deterministic
├── HistoryTooLong                the execution's history is past its limit
├── RunawayWorkflow               workflow code that never stops asking
└── LeaseLost                     a worker learnt that another one has its work
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# Attributes have defaults on the class: an exception rebuilt from a failure is made without __init__.

if TYPE_CHECKING:
    from perdure.engine.divergence import Site
    from perdure.model.event import Command, End
    from perdure.model.failure import Failure


class PerdureError(Exception):
    """The root of all of perdure's errors."""


class ConfigurationError(PerdureError, ValueError):
    """An option, URL or definition is wrong; the message names the right form."""


class RegistrationError(ConfigurationError):
    """A workflow or activity can't be registered; the message lists every reason."""


class InvalidName(PerdureError, ValueError):
    """An id, name or queue isn't 1-255 bytes of UTF-8 without NUL."""


class ArgumentsError(PerdureError, TypeError):
    """The arguments of a call don't fit the signature of what is called; nothing was recorded."""


class PayloadError(PerdureError, ValueError):
    """A value can't be written or read."""


class EncodeError(PayloadError):
    """A value can't be encoded. `path` leads to the bad part, as in `order.items[3].price`."""

    path: str = ""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class DecodeError(PayloadError):
    """Stored bytes don't decode to the annotated type."""


class PayloadTooLarge(PayloadError):
    """An encoded value is over the limit (`size` and `limit` in bytes)."""

    size: int = 0
    limit: int = 0

    def __init__(self, message: str, size: int, limit: int) -> None:
        super().__init__(message)
        self.size = size
        self.limit = limit


class InstanceError(PerdureError):
    """Something about one instance; `instance_id` names it."""

    instance_id: str = ""

    def __init__(self, message: str, instance_id: str) -> None:
        super().__init__(message)
        self.instance_id = instance_id


class InstanceNotFound(InstanceError, LookupError):
    """No instance has this id."""


class ScheduleNotFound(InstanceNotFound):
    """No schedule has this id."""


class InstanceAlreadyExists(InstanceError):
    """The id is taken, by a running or an ended instance."""


class InstanceNotRunning(InstanceError):
    """The instance has ended: it takes no signal, cancel, suspend or resume any more."""


class InstanceNotFinished(InstanceError):
    """The instance hasn't ended: there is no result yet, and it can't be removed."""


class HandlerNotFound(InstanceError, LookupError):
    """The workflow has no handler of this name, at this moment; `known` has those that it has."""

    known: tuple[str, ...] = ()

    def __init__(self, message: str, instance_id: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(message, instance_id)
        self.known = known


class NotAnswered(InstanceError, TimeoutError):
    """A query or update wasn't answered in time; an update goes on. `workers` are the live ones of the instance's `queue`."""

    queue: str = ""
    workers: tuple[str, ...] = ()

    def __init__(self, message: str, instance_id: str, queue: str = "", workers: tuple[str, ...] = ()) -> None:
        super().__init__(message, instance_id)
        self.queue = queue
        self.workers = workers


class QueryFailed(InstanceError):
    """A query's handler raised; `__cause__` is its exception, rebuilt where its type is known."""


class UpdateRefused(InstanceError):
    """The validator refused the update, or its arguments don't fit; nothing was recorded. `__cause__` says why."""


class UpdateFailed(InstanceError):
    """The update was accepted, and its handler raised; `__cause__` is its exception."""


class UpdateNotHandled(InstanceError):
    """The instance ended, or continued as new, before it had handled the update."""


class WorkflowEnded(InstanceError):
    """The instance ended without a result."""


class WorkflowFailed(WorkflowEnded):
    """The workflow raised; `__cause__` is its exception, rebuilt where its type is known."""


class WorkflowCancelled(WorkflowEnded):
    """The instance was cancelled and let the cancellation through."""


class WorkflowTerminated(WorkflowEnded):
    """An operator ended the instance, without clean-up; `reason` is theirs."""

    reason: str = ""

    def __init__(self, message: str, instance_id: str, reason: str = "") -> None:
        super().__init__(message, instance_id)
        self.reason = reason


class StoreError(PerdureError):
    """The store can't do what was asked."""


class StoreUnavailable(StoreError):
    """The store couldn't be reached, or its answer was lost: whether the write took place isn't known.

    If `is_unwritten` it is known all the same: nothing was written, and what was asked can be asked anew.
    """

    is_unwritten: bool = False

    def __init__(self, message: str, *, is_unwritten: bool = False) -> None:
        super().__init__(message)
        self.is_unwritten = is_unwritten


class StoreReadOnly(StoreError):
    """The database may not be written."""


class StoreFull(StoreError):
    """No space is left; nothing of the transaction was written."""


class StoreCorrupt(StoreError):
    """The database, or a row of it, can't be read."""


class StoreSealed(StoreError):
    """The store was moved; `target` says where to."""

    target: str = ""

    def __init__(self, message: str, target: str) -> None:
        super().__init__(message)
        self.target = target


class StoreFilling(StoreError):
    """The store is being filled from another one, `source`, and opens when all is there."""

    source: str = ""

    def __init__(self, message: str, source: str) -> None:
        super().__init__(message)
        self.source = source


class SchemaMismatch(StoreError):
    """The schema in the database and this code don't fit; the message says which one to renew."""


class StoreUsageError(StoreError):
    """A call that this store can't serve."""


class FailureError(PerdureError):
    """A failure that came from elsewhere. `type` is its name there and `failure` the whole record of it."""

    failure: Failure | None = None

    def __init__(self, message: str, failure: Failure | None = None) -> None:
        super().__init__(message)
        self.failure = failure

    @property
    def type(self) -> str:
        """The qualified name of the original exception's class, without its module."""
        return self.failure.type_name if self.failure else type(self).__qualname__

    def is_type(self, name: str) -> bool:
        """Whether the original exception is of the named class or a subclass of it.

        `name` is a qualified name, with or without its module: `PaymentDeclined` or `shop.errors.PaymentDeclined`.
        """
        return self.failure is not None and self.failure.is_type(name)


class ActivityError(FailureError):
    """An activity failed for good, with an exception whose type this process doesn't know."""


class ActivityTimeout(ActivityError):
    """An activity ran into `timeout`, `total_timeout`, `queue_timeout` or `heartbeat_timeout`."""


class WorkerLost(ActivityError):
    """Five workers in a row died while they ran this activity."""


class SubWorkflowError(FailureError):
    """A sub-workflow failed, was cancelled or terminated by others, or its id was taken."""


class SignalNotDelivered(FailureError):
    """ctx.signal_workflow addressed an instance that doesn't exist or has ended."""


class CompensationFailed(PerdureError, ExceptionGroup[Exception]):
    """What was to take back a block of `ctx.compensations()` failed; `__cause__` is why the block had failed."""


class PermanentError(PerdureError):
    """Raise it (or raise something `from` it) in an activity to stop retries."""


class DeadlineExceeded(PerdureError, TimeoutError):
    """The workflow outlived its `timeout`."""


class NonDeterminismError(PerdureError):
    """Workflow code didn't repeat what history says; the instance is stuck until the code fits again."""

    history: str = ""
    """What history says, in words."""
    code: str = ""
    """What the code did instead."""
    site: Site | None = None
    """The line of code that did it; None if it did nothing, or the engine itself asked."""
    position: int = -1
    """Where in history they part."""
    recorded: Command | End | None = None
    """The two events, where there are events."""
    issued: Command | End | None = None


class NotInWorkflow(PerdureError, RuntimeError):
    """Workflow code called something that can't be repeated on replay; the message says what to use."""


class RunawayWorkflow(PerdureError, RuntimeError):
    """Workflow code issued commands, or refused ones, without end."""


class HistoryTooLong(PerdureError):
    """An execution's history is past the limit; the instance is stuck until the limit is raised."""


class LeaseLost(PerdureError):
    """This work is no longer the caller's, or an activity's token of no use any more; the outcome will not be recorded."""
