"""A handle: one instance, and the type of what it will give."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from perdure.model.inspection import HistoryEvent
from perdure.model.instance import Instance, State
from perdure.model.options import Duration
from perdure.workflows.definition import Workflow
from perdure.workflows.signal import Signal

if TYPE_CHECKING:
    from perdure.client.client import Client

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
D = TypeVar("D")


class Handle(Generic[R_co]):
    """One instance, by its id: nothing is kept open, and there need not be such an instance (yet).

    It follows the instance through continue-as-new. `client.start` gives one, and `client.handle(instance_id,
    workflow=checkout)` makes one from an id, in any process.
    """

    __slots__ = ("_client", "_workflow", "instance_id")

    def __init__(self, client: Client, instance_id: str, workflow: Workflow[..., R_co] | None = None) -> None:
        self._client = client
        self._workflow: Workflow[..., Any] | None = workflow
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

    def history(self) -> AsyncIterator[HistoryEvent]:
        """The events of the current execution, in order. Raises InstanceNotFound."""
        return self._client.history(self.instance_id)

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

    async def remove(self) -> None:
        """Remove everything of the ended instance. See `Client.remove`."""
        await self._client.remove(self.instance_id)

    def __repr__(self) -> str:
        return f"<handle of instance {self.instance_id!r}>"
