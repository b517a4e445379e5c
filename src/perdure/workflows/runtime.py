"""What the engine does for a context: workflow code never sees it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from perdure.clock import Micros
from perdure.model.options import Cancellation
from perdure.model.retention import StoredRetention
from perdure.model.retry import StoredRetry
from perdure.workflows.future import Future, SubWorkflowFuture

if TYPE_CHECKING:
    from perdure.activities.definition import Activity
    from perdure.model.options import WorkflowOptions
    from perdure.observability.logging import FieldsLogger
    from perdure.workflows.context import Context
    from perdure.workflows.definition import Workflow
    from perdure.workflows.info import Info
    from perdure.workflows.signal import Signal
    from perdure.workflows.signal_channel import SignalBuffer

T = TypeVar("T")


class StoredCall(msgspec.Struct, frozen=True):
    """A workflow's name and arguments as they are stored, and all else that a start takes along: who passes it on need not know it."""

    workflow: str
    arguments: bytes
    digest: bytes
    version: str | None
    retry: StoredRetry | None
    due_at: Micros | None = None
    retention: StoredRetention | None = None


class StoredActivity(msgspec.Struct, frozen=True, kw_only=True):
    """An activity's name, arguments and options as they are stored: who passes it on need not know it."""

    name: str
    arguments: bytes
    digest: bytes
    cancellation: Cancellation
    retry: StoredRetry
    timeout: Micros | None = None
    total_timeout: Micros | None = None
    queue_timeout: Micros | None = None
    heartbeat_timeout: Micros | None = None


class StoredResult(msgspec.Struct, frozen=True):
    """What it gave, as it is stored. A workflow that returns this has that result."""

    payload: bytes


class Handlers(Protocol):
    """What answers queries and updates."""

    @property
    def running(self) -> Mapping[bytes, object]:
        """Updates that were accepted and aren't answered."""
        ...

    def add_query(self, handler: Callable[..., Any], name: str | None) -> None: ...
    def add_update(
        self, handler: Callable[..., Any], validator: Callable[..., Any] | None, name: str | None
    ) -> None: ...


class Runtime(Protocol):
    """One execution, as its contexts see it. Commands are issued at once."""

    @property
    def now(self) -> Micros: ...
    @property
    def is_replaying(self) -> bool: ...
    @property
    def logger(self) -> FieldsLogger: ...
    @property
    def random(self) -> random.Random: ...
    @property
    def info(self) -> Info: ...

    def execute_activity(
        self, ctx: Context, activity: Activity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Future[Any]: ...
    def execute_sub_workflow(
        self, ctx: Context, workflow: Workflow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> SubWorkflowFuture[Any]: ...
    def execute_stored(self, ctx: Context, call: StoredCall, options: WorkflowOptions) -> SubWorkflowFuture[Any]: ...
    def execute_stored_activity(self, ctx: Context, activity: StoredActivity) -> Future[StoredResult]: ...
    def schedule_timer(self, ctx: Context, delay: Micros) -> Future[None]: ...
    def signal_workflow(self, ctx: Context, instance_id: str, signal: Signal[Any], value: Any) -> Future[None]: ...
    def side_effect(self, ctx: Context, function: Callable[[], Any], name: str, returns: Any) -> Future[Any]: ...
    def wait_condition(self, ctx: Context, predicate: Callable[[], Any]) -> Future[None]: ...
    def signal_buffer(self, name: str) -> SignalBuffer: ...
    def decode(self, payload: bytes, annotation: Any) -> Any: ...
    def publish(self, key: str, value: Any) -> None: ...
    @property
    def handlers(self) -> Handlers: ...
    def patched(self, patch_id: str) -> bool: ...
    def deprecate_patch(self, patch_id: str) -> None: ...
    def continue_as_new(
        self, workflow: Workflow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> BaseException: ...
    def refused(self, what: str) -> BaseException:
        """The CancelledError for a new command on a cancelled context; settles what the current task owes."""
        ...

    def check_call(
        self, function: Callable[..., Any], skip: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Raise what a call of an activity or sub-workflow with these arguments would raise."""
        ...

    def is_setback(self, error: BaseException) -> bool:
        """Whether workflow code fails or is cancelled by it: it isn't continued, and doesn't leave memory."""
        ...

    def create_clean_up_task(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that has nothing to do with the instance's cancel."""
        ...

    def enter_clean_up(self) -> None:
        """The instance's cancel no longer reaches the current task, until as many `leave_clean_up`."""
        ...

    def leave_clean_up(self) -> None: ...
