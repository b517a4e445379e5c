"""The client for code without an event loop: each method waits for the same method of a `Client` in another thread."""

from __future__ import annotations

import builtins
import os
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack, overload

from perdure.activities.definition import Activity, activity_of
from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.client.client import Client
from perdure.client.endings import Definition, definition_of
from perdure.client.filters import Filters
from perdure.client.listing import Stats
from perdure.client.portal import Portal
from perdure.client.synchronous_handle import SyncHandle
from perdure.client.synchronous_queues import SyncQueues
from perdure.client.synchronous_schedules import SyncScheduleHandle, SyncSchedules
from perdure.client.synchronous_transactional import SyncTransactionalClient
from perdure.client.transactional import TransactionalClient
from perdure.model.inspection import HistoryEvent, Page, PendingActivity
from perdure.model.instance import Execution, Instance, State
from perdure.model.names import check_name
from perdure.model.options import Duration
from perdure.model.schedule import Schedule
from perdure.observability.telemetry import Telemetry
from perdure.propagation import Propagator
from perdure.serialization.saved import SavedHistory
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow_of
from perdure.workflows.signal import Signal

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
D = TypeVar("D")

_TAKEN_AT_ONCE = 100
"""Items of a list that are fetched by one call to the other thread."""

_opening = threading.Lock()


class SyncClient:
    """A `Client` whose methods are plain functions, for programs without an event loop: Django, Flask, scripts, notebooks.

    It may be made at import: the thread with its event loop begins, and the store is opened, with the first call. Any number
    of threads may use it at once. `close` (or the end of a `with`, or of the process) ends the thread; a later call begins
    another one, and so does the first call in a forked child. `store` is a URL, or a Backend, of which a twin is opened.

    Context variables of the caller are seen by propagators. Ctrl-C ends a wait. The methods are those of `Client`.
    """

    def __init__(
        self,
        store: str | Backend,
        app: App | None = None,
        *,
        propagators: Sequence[Propagator] = (),
        telemetry: Telemetry | None = None,
        keep_keys: Duration = timedelta(days=7),
    ) -> None:
        self._make_with(
            store, lambda it: Client(it, app, propagators=propagators, telemetry=telemetry, keep_keys=keep_keys)
        )

    def _make_with(self, store: str | Backend, make: Callable[[str | Backend], Client]) -> None:
        make(store)  # what is wrong with the arguments is told here, and not by the first call
        self._open_client: Callable[[], AbstractAsyncContextManager[Client]] = partial(_opened_client, store, make)
        self._portal: Portal[Client] | None = None

    def open(self) -> None:
        """Open the store now, and not with the first call. Raises StoreError, ConfigurationError."""
        self._opened()

    def close(self) -> None:
        """Close the store and end the thread; calls that are under way raise ConfigurationError."""
        portal, self._portal = self._portal, None
        if portal is not None and portal.is_open:
            portal.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # starting

    def start(
        self,
        workflow: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> SyncHandle[R]:
        """Start a workflow; see `Client.start`."""
        definition = workflow_of(workflow)
        return SyncHandle(self, self._call(Client._start, definition, args, kwargs), definition)

    def run(
        self,
        workflow: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Start a workflow and wait for its result. Ctrl-C doesn't cancel the instance."""
        return self.start(workflow, *args, **kwargs).result()

    @overload
    def handle(self, instance_id: str) -> SyncHandle[Any]: ...
    @overload
    def handle(self, instance_id: str, workflow: Activity[..., R]) -> SyncHandle[R]: ...
    @overload
    def handle(self, instance_id: str, workflow: Callable[..., Coroutine[Any, Any, R]]) -> SyncHandle[R]: ...
    def handle(
        self, instance_id: str, workflow: Callable[..., Any] | Activity[..., Any] | None = None
    ) -> SyncHandle[Any]:
        """A handle from an id, typed by the workflow, or by the activity that runs by itself. The store isn't asked."""
        check_name(instance_id, "an instance id")
        return SyncHandle(self, instance_id, definition_of(workflow))

    def using(self, connection: object) -> SyncTransactionalClient:
        """A client whose `start` and `signal` take place in the transaction that is open on a connection of yours.

        Only one thread uses the connection at a time, but another one than yours: sqlite3 wants `check_same_thread=False`.
        See `Client.using`.
        """

        async def join(client: Client) -> TransactionalClient:
            return client.using(connection)

        return SyncTransactionalClient(self, self._call(join))

    def schedule(
        self,
        schedule: Schedule,
        workflow: Callable[Concatenate[Context, P], Coroutine[Any, Any, Any]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> SyncScheduleHandle:
        """Start a workflow whenever it is due; see `Client.schedule`."""
        self._call(Client._schedule, schedule, workflow_of(workflow), args, kwargs)
        return SyncScheduleHandle(self, schedule.id)

    @property
    def schedules(self) -> SyncSchedules:
        """The schedules of this store."""
        return SyncSchedules(self)

    # the life of one instance

    @overload
    def signal(
        self, instance_id: str, signal: Signal[None], value: None = None, *, idempotency_key: str | None = None
    ) -> None: ...
    @overload
    def signal(self, instance_id: str, signal: Signal[T], value: T, *, idempotency_key: str | None = None) -> None: ...
    def signal(
        self, instance_id: str, signal: Signal[Any], value: Any = None, *, idempotency_key: str | None = None
    ) -> None:
        """Send a signal; see `Client.signal`."""
        self._call(Client.signal, instance_id, signal, value, idempotency_key=idempotency_key)

    def cancel(self, instance_id: str, reason: str = "") -> None:
        """Ask the workflow to cancel; see `Client.cancel`."""
        self._call(Client.cancel, instance_id, reason)

    def terminate(self, instance_id: str, reason: str = "") -> None:
        """End the instance at once, without clean-up; see `Client.terminate`."""
        self._call(Client.terminate, instance_id, reason)

    def suspend(self, instance_id: str) -> None:
        """Hold the instance until `resume`; see `Client.suspend`."""
        self._call(Client.suspend, instance_id)

    def resume(self, instance_id: str) -> None:
        """Let a suspended or stuck instance go on; see `Client.resume`."""
        self._call(Client.resume, instance_id)

    def retry_activity(self, instance_id: str, number: int) -> None:
        """Begin the next attempt of an activity at once; see `Client.retry_activity`."""
        self._call(Client.retry_activity, instance_id, number)

    def fork(self, instance_id: str, *, at_event: int, new_id: str | None = None) -> SyncHandle[Any]:
        """Start another instance with this one's history up to an event; see `Client.fork`."""
        return SyncHandle(self, self._call(Client.fork, instance_id, at_event=at_event, new_id=new_id).instance_id)

    def rewind(self, instance_id: str, *, at_event: int | None = None) -> None:
        """Take an instance that ended without a result back to an event; see `Client.rewind`."""
        self._call(Client.rewind, instance_id, at_event=at_event)

    def remove(self, instance_id: str) -> None:
        """Remove everything of an ended instance; see `Client.remove`."""
        self._call(Client.remove, instance_id)

    # waiting for one instance

    @overload
    def result(self, instance_id: str, *, timeout: Duration | None = None) -> Any: ...
    @overload
    def result(
        self, instance_id: str, workflow: Callable[..., Coroutine[Any, Any, R]], *, timeout: Duration | None = None
    ) -> R: ...
    def result(
        self, instance_id: str, workflow: Callable[..., Any] | None = None, *, timeout: Duration | None = None
    ) -> Any:
        """What the workflow returned, once it has; see `Client.result`."""
        return self._result(instance_id, None if workflow is None else workflow_of(workflow), timeout)

    def wait(self, instance_id: str, timeout: Duration | None = None) -> State:
        """How the instance ended, once it has, whatever the end; see `Client.wait`."""
        return self._call(Client.wait, instance_id, timeout)

    # looking at one instance

    def state(self, instance_id: str) -> State:
        """Where the instance stands; see `Client.state`."""
        return self._call(Client.state, instance_id)

    def info(self, instance_id: str) -> Instance:
        """All that is known of the instance but its history; see `Client.info`."""
        return self._call(Client.info, instance_id)

    def history(
        self, instance_id: str, *, execution_id: str | None = None, blobs: bool = False
    ) -> Iterator[HistoryEvent]:
        """The events of an execution, in order; see `Client.history`."""
        return self._iterate(lambda client: client.history(instance_id, execution_id=execution_id, blobs=blobs))

    def export_history(self, instance_id: str, *, execution_id: str | None = None) -> SavedHistory:
        """The same as one value; see `Client.export_history`."""
        return self._call(Client.export_history, instance_id, execution_id=execution_id)

    def executions(self, instance_id: str) -> Sequence[Execution]:
        """The executions of the instance, oldest first; see `Client.executions`."""
        return self._call(Client.executions, instance_id)

    def activities(self, instance_id: str) -> Sequence[PendingActivity]:
        """The activities that haven't ended; see `Client.activities`."""
        return self._call(Client.activities, instance_id)

    @overload
    def read(self, instance_id: str, key: str) -> Any: ...
    @overload
    def read(self, instance_id: str, key: str, kind: type[T]) -> T: ...
    @overload
    def read(self, instance_id: str, key: str, kind: type[T], default: D) -> T | D: ...
    def read(self, instance_id: str, key: str, kind: Any = Any, default: Any = ...) -> Any:
        """The last value that the workflow published under `key`; see `Client.read`."""
        return self._call(Client.read, instance_id, key, kind, default)

    # looking at many

    def list(self, **filters: Unpack[Filters]) -> Iterator[Instance]:
        """Every instance that the filters let through, newest first; see `Client.list`."""
        return self._iterate(lambda client: client.list(**filters))

    def page(self, *, cursor: str | None = None, limit: int = 50, **filters: Unpack[Filters]) -> Page[Instance]:
        """A page of what `list` gives; see `Client.page`."""
        return self._call(Client.page, cursor=cursor, limit=limit, **filters)

    def count(self, **filters: Unpack[Filters]) -> dict[State, int]:
        """How many instances the filters let through, by state; see `Client.count`."""
        return self._call(Client.count, **filters)

    def stats(self) -> Stats:
        """How many instances there are, what waits on which queue, and who works on it."""
        return self._call(Client.stats)

    def prune(
        self,
        *,
        limit: int | None = None,
        progress: Callable[[int], object] | None = None,
        **filters: Unpack[Filters],
    ) -> int:
        """Remove ended instances that the filters let through; see `Client.prune`. `progress` is called in another thread."""
        return self._call(Client.prune, limit=limit, progress=progress, **filters)

    @property
    def queues(self) -> SyncQueues:
        """The limits of queues, over all workers; see `Client.queues`."""
        return SyncQueues(self)

    # activities, by themselves or completed from outside

    @overload
    def start_activity(self, activity: Activity[P, R], /, *args: P.args, **kwargs: P.kwargs) -> SyncHandle[R]: ...
    @overload
    def start_activity(
        self, activity: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> SyncHandle[R]: ...
    @overload
    def start_activity(self, activity: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> SyncHandle[R]: ...
    def start_activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> SyncHandle[Any]:
        """Run an activity by itself; see `Client.start_activity`."""
        definition = activity_of(activity)
        started = self._call(Client._start_activity, definition, args, kwargs)
        return SyncHandle(self, started.instance_id, definition)

    @overload
    def run_activity(self, activity: Activity[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def run_activity(
        self, activity: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def run_activity(self, activity: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def run_activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> Any:
        """`start_activity`, and wait for its result. Ctrl-C doesn't cancel the activity."""
        return self.start_activity(activity, *args, **kwargs).result()

    def complete_activity(self, token: str, value: object) -> None:
        """Give the result of an activity that leaves it to others; see `Client.complete_activity`."""
        self._call(Client.complete_activity, token, value)

    def fail_activity(self, token: str, error: BaseException) -> None:
        """Let the attempt fail; see `Client.fail_activity`."""
        self._call(Client.fail_activity, token, error)

    def heartbeat_activity(self, token: str, *details: object) -> bool:
        """Say that such an activity is still worked on; see `Client.heartbeat_activity`."""
        return self._call(Client.heartbeat_activity, token, *details)

    # inside

    def _result(self, instance_id: str, workflow: Definition | None, timeout: Duration | None) -> Any:
        return self._call(Client._result, instance_id, workflow, timeout)

    def _call(
        self, method: Callable[Concatenate[Client, P], Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return self._opened().call(lambda client: method(client, *args, **kwargs))

    def _iterate(self, ask: Callable[[Client], AsyncIterator[T]]) -> Iterator[T]:
        portal = self._opened()
        items: AsyncIterator[T] | None = None

        async def take(client: Client) -> builtins.list[T]:
            nonlocal items
            if items is None:
                items = ask(client)
            taken: builtins.list[T] = []
            async for item in items:
                taken.append(item)
                if len(taken) == _TAKEN_AT_ONCE:
                    break
            return taken

        while taken := portal.call(take):
            yield from taken

    def _opened(self) -> Portal[Client]:
        portal = self._portal
        if portal is not None and portal.is_open:
            return portal
        with _opening:
            if self._portal is None or not self._portal.is_open:
                self._portal = Portal(self._open_client, "perdure client")
                # Nobody uses it any more. Whether that is found out on this thread or the portal's own: it doesn't wait.
                weakref.finalize(self, self._portal.close_nowait).atexit = False
            return self._portal


@asynccontextmanager
async def _opened_client(store: str | Backend, make: Callable[[str | Backend], Client]) -> AsyncGenerator[Client]:
    if isinstance(store, str):
        async with make(store) as client:
            yield client
        return
    twin = store.twin()
    await twin.open()
    try:
        async with make(twin) as client:
            yield client
    finally:
        await twin.close()


def _renew_lock() -> None:
    global _opening  # noqa: PLW0603 - another thread of the parent may have held it
    _opening = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
