"""A handle: one instance, and the type of what it will give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from perdure.activities.definition import Activity
from perdure.client.endings import Definition
from perdure.clock import duration_micros
from perdure.model.inspection import HistoryEvent
from perdure.model.instance import Instance, State
from perdure.model.names import check_name
from perdure.model.options import Duration
from perdure.workflows.definition import Workflow
from perdure.workflows.signal import Signal

if TYPE_CHECKING:
    from perdure.client.client import Client

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
D = TypeVar("D")


class Handle(Generic[R_co]):
    """One instance, by its id: nothing is kept open, and there need not be such an instance (yet).

    It follows the instance through continue-as-new. `client.start` gives one, and `client.handle(instance_id,
    workflow=checkout)` makes one from an id, in any process.
    """

    __slots__ = ("_client", "_key", "_timeout", "_workflow", "instance_id")

    def __init__(
        self, client: Client, instance_id: str, workflow: Workflow[..., R_co] | Activity[..., R_co] | None = None
    ) -> None:
        self._client = client
        self._workflow: Definition | None = workflow
        self._timeout: float | None = None
        self._key: str | None = None
        self.instance_id: str = instance_id

    async def result(self, timeout: Duration | None = None) -> R_co:  # noqa: ASYNC109 - the instance isn't cancelled
        """What the workflow returned, once it has.

        A time-out (TimeoutError) or a cancelled waiter never cancels the instance. Raises WorkflowFailed from the
        workflow's exception, WorkflowCancelled, WorkflowTerminated, InstanceNotFound.
        """
        result: R_co = await self._client._result(self.instance_id, self._workflow, timeout)
        return result

    async def wait(self, timeout: Duration | None = None) -> State:  # noqa: ASYNC109 - the instance isn't cancelled
        """How the instance ended, once it has, whatever the end. Raises TimeoutError, InstanceNotFound."""
        return await self._client.wait(self.instance_id, timeout)

    async def state(self) -> State:
        """Where the instance stands. Raises InstanceNotFound."""
        return await self._client.state(self.instance_id)

    async def info(self) -> Instance:
        """All that is known of the instance but its history. Raises InstanceNotFound."""
        return await self._client.info(self.instance_id)

    def history(self, *, blobs: bool = False) -> AsyncIterator[HistoryEvent]:
        """The events of the current execution, in order. See `Client.history`."""
        return self._client.history(self.instance_id, blobs=blobs)

    @overload
    async def signal(self, signal: Signal[None], value: None = None, *, idempotency_key: str | None = None) -> None: ...
    @overload
    async def signal(self, signal: Signal[T], value: T, *, idempotency_key: str | None = None) -> None: ...
    async def signal(self, signal: Signal[Any], value: Any = None, *, idempotency_key: str | None = None) -> None:
        """Send a signal; it is durable when this returns. See `Client.signal`."""
        await self._client.signal(self.instance_id, signal, value, idempotency_key=idempotency_key)

    async def cancel(self, reason: str = "") -> None:
        """Ask the workflow to cancel. See `Client.cancel`."""
        await self._client.cancel(self.instance_id, reason)

    async def terminate(self, reason: str = "") -> None:
        """End the instance at once, without clean-up. See `Client.terminate`."""
        await self._client.terminate(self.instance_id, reason)

    async def suspend(self) -> None:
        """Hold the instance until `resume`. See `Client.suspend`."""
        await self._client.suspend(self.instance_id)

    async def resume(self) -> None:
        """Let a suspended or stuck instance go on. See `Client.resume`."""
        await self._client.resume(self.instance_id)

    @overload
    async def read(self, key: str) -> Any: ...
    @overload
    async def read(self, key: str, kind: type[T]) -> T: ...
    @overload
    async def read(self, key: str, kind: type[T], default: D) -> T | D: ...
    async def read(self, key: str, kind: Any = Any, default: Any = ...) -> Any:
        """The last value that the workflow published under `key`. See `Client.read`."""
        return await self._client.read(self.instance_id, key, kind, default)

    def with_options(self, *, timeout: Duration | None = None, idempotency_key: str | None = None) -> Self:
        """A copy whose queries and updates are so; what isn't given stays.

        `timeout` is how long an answer is waited for, by default 10 s for a query and without end for an update. A second update
        of the same name with the same `idempotency_key` gets the first one's answer, whatever its arguments.
        """
        copy = type(self)(self._client, self.instance_id, self._workflow)
        copy._timeout = self._timeout if timeout is None else duration_micros(timeout) / 1_000_000
        copy._key = self._key if idempotency_key is None else check_name(idempotency_key, "a key")
        return copy

    @overload
    async def query(self, query: str, /, *args: Any) -> Any: ...
    @overload
    async def query(self, query: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def query(self, query: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Ask the workflow for something of its state: `query(Checkout.status)`, the method that `ctx.on_query` got.

        Answered by the worker that has the execution in memory, or by one that reads its history; also after the end. Nothing is
        recorded. A name instead of the method works without types. Raises HandlerNotFound, QueryFailed, NotAnswered,
        InstanceNotFound, ArgumentsError.
        """
        call = self._client._asking.call(query, args, kwargs)
        return await self._client._query(self.instance_id, call, self._timeout)

    @overload
    async def update(self, update: str, /, *args: Any) -> Any: ...
    @overload
    async def update(
        self, update: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def update(self, update: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def update(self, update: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have the workflow handle something and wait for its answer: `update(Checkout.approve, "anna")`.

        It is handled once, in the order that history shows; cancelling this doesn't take it back. Raises UpdateRefused (nothing
        was recorded), UpdateFailed, UpdateNotHandled, HandlerNotFound, NotAnswered, InstanceNotFound, InstanceNotRunning,
        ArgumentsError.
        """
        call = self._client._asking.call(update, args, kwargs)
        return await self._client._update(self.instance_id, call, self._timeout, self._key)

    async def fork(self, *, at_event: int, new_id: str | None = None) -> Handle[R_co]:
        """Start another instance with this one's history up to an event. See `Client.fork`."""
        fork = await self._client.fork(self.instance_id, at_event=at_event, new_id=new_id)
        return Handle(self._client, fork.instance_id, self._workflow)

    async def rewind(self, *, at_event: int | None = None) -> None:
        """Take the instance, which ended without a result, back to an event. See `Client.rewind`."""
        await self._client.rewind(self.instance_id, at_event=at_event)

    async def remove(self) -> None:
        """Remove everything of the ended instance. See `Client.remove`."""
        await self._client.remove(self.instance_id)

    def __repr__(self) -> str:
        return f"<handle of instance {self.instance_id!r}>"
