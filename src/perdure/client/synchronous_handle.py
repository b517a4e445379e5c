"""A handle for code without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

from perdure.activities.definition import Activity
from perdure.client.client import Client
from perdure.client.endings import Definition
from perdure.model.inspection import HistoryEvent
from perdure.model.instance import Instance, State
from perdure.model.options import Duration
from perdure.workflows.definition import Workflow
from perdure.workflows.signal import Signal

if TYPE_CHECKING:
    from perdure.client.synchronous import SyncClient

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
D = TypeVar("D")


class SyncHandle(Generic[R_co]):
    """One instance, by its id; the methods are those of `Handle`, and wait. Any thread may use it."""

    __slots__ = ("_client", "_key", "_timeout", "_workflow", "instance_id")

    def __init__(
        self, client: SyncClient, instance_id: str, workflow: Workflow[..., R_co] | Activity[..., R_co] | None = None
    ) -> None:
        self._client = client
        self._workflow: Definition | None = workflow
        self._timeout: Duration | None = None
        self._key: str | None = None
        self.instance_id: str = instance_id

    def result(self, timeout: Duration | None = None) -> R_co:
        """What the workflow returned, once it has; see `Handle.result`. Neither a time-out nor Ctrl-C cancels the instance."""
        return cast("R_co", self._client._result(self.instance_id, self._workflow, timeout))

    def wait(self, timeout: Duration | None = None) -> State:
        """How the instance ended, once it has, whatever the end. Raises TimeoutError, InstanceNotFound."""
        return self._client.wait(self.instance_id, timeout)

    def state(self) -> State:
        """Where the instance stands. Raises InstanceNotFound."""
        return self._client.state(self.instance_id)

    def info(self) -> Instance:
        """All that is known of the instance but its history. Raises InstanceNotFound."""
        return self._client.info(self.instance_id)

    def history(self, *, blobs: bool = False) -> Iterator[HistoryEvent]:
        """The events of the current execution, in order. Raises InstanceNotFound."""
        return self._client.history(self.instance_id, blobs=blobs)

    @overload
    def signal(self, signal: Signal[None], value: None = None, *, idempotency_key: str | None = None) -> None: ...
    @overload
    def signal(self, signal: Signal[T], value: T, *, idempotency_key: str | None = None) -> None: ...
    def signal(self, signal: Signal[Any], value: Any = None, *, idempotency_key: str | None = None) -> None:
        """Send a signal; it is durable when this returns. See `Client.signal`."""
        self._client.signal(self.instance_id, signal, value, idempotency_key=idempotency_key)

    def cancel(self, reason: str = "") -> None:
        """Ask the workflow to cancel. See `Client.cancel`."""
        self._client.cancel(self.instance_id, reason)

    def terminate(self, reason: str = "") -> None:
        """End the instance at once, without clean-up. See `Client.terminate`."""
        self._client.terminate(self.instance_id, reason)

    def suspend(self) -> None:
        """Hold the instance until `resume`. See `Client.suspend`."""
        self._client.suspend(self.instance_id)

    def resume(self) -> None:
        """Let a suspended or stuck instance go on. See `Client.resume`."""
        self._client.resume(self.instance_id)

    @overload
    def read(self, key: str) -> Any: ...
    @overload
    def read(self, key: str, kind: type[T]) -> T: ...
    @overload
    def read(self, key: str, kind: type[T], default: D) -> T | D: ...
    def read(self, key: str, kind: Any = Any, default: Any = ...) -> Any:
        """The last value that the workflow published under `key`. See `Client.read`."""
        return self._client.read(self.instance_id, key, kind, default)

    def with_options(self, *, timeout: Duration | None = None, idempotency_key: str | None = None) -> Self:
        """A copy whose queries and updates are so; what isn't given stays. See `Handle.with_options`."""
        copy = type(self)(self._client, self.instance_id, self._workflow)
        copy._timeout = self._timeout if timeout is None else timeout
        copy._key = self._key if idempotency_key is None else idempotency_key
        return copy

    @overload
    def query(self, query: str, /, *args: Any) -> Any: ...
    @overload
    def query(self, query: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def query(self, query: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Ask the workflow for something of its state. See `Handle.query`."""
        return self._ask(lambda handle: handle.query(query, *args, **kwargs))

    @overload
    def update(self, update: str, /, *args: Any) -> Any: ...
    @overload
    def update(
        self, update: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def update(self, update: Callable[Concatenate[Any, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def update(self, update: str | Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Have the workflow handle something and wait for its answer. See `Handle.update`."""
        return self._ask(lambda handle: handle.update(update, *args, **kwargs))

    def _ask(self, ask: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        async def asked(client: Client) -> Any:
            handle = client.handle(self.instance_id)
            return await ask(handle.with_options(timeout=self._timeout, idempotency_key=self._key))

        return self._client._call(asked)

    def fork(self, *, at_event: int, new_id: str | None = None) -> SyncHandle[R_co]:
        """Start another instance with this one's history up to an event; see `Client.fork`."""
        fork = self._client.fork(self.instance_id, at_event=at_event, new_id=new_id)
        return SyncHandle(self._client, fork.instance_id, self._workflow)

    def rewind(self, *, at_event: int | None = None) -> None:
        """Take the instance, which ended without a result, back to an event; see `Client.rewind`."""
        self._client.rewind(self.instance_id, at_event=at_event)

    def remove(self) -> None:
        """Remove everything of the ended instance. See `Client.remove`."""
        self._client.remove(self.instance_id)

    def __repr__(self) -> str:
        return f"<handle of instance {self.instance_id!r}>"
