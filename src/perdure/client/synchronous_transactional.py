"""A client without an event loop that takes part in a transaction of yours."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from perdure.activities.definition import Activity, activity_of
from perdure.client.synchronous_handle import SyncHandle
from perdure.client.transactional import TransactionalClient
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow_of
from perdure.workflows.signal import Signal

if TYPE_CHECKING:
    from perdure.client.synchronous import SyncClient

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class SyncTransactionalClient:
    """Starts and signals workflows through a connection of yours, inside its open transaction; see `TransactionalClient`."""

    def __init__(self, client: SyncClient, inside: TransactionalClient) -> None:
        self._client = client
        self._inside = inside

    def start(
        self,
        workflow: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> SyncHandle[R]:
        """Start a workflow; its handle is of use after the commit. See `TransactionalClient.start`."""
        definition = workflow_of(workflow)
        started = self._client._call(lambda _: self._inside.start(definition, *args, **kwargs))
        return SyncHandle(self._client, started.instance_id, definition)

    @overload
    def start_activity(self, activity: Activity[P, R], /, *args: P.args, **kwargs: P.kwargs) -> SyncHandle[R]: ...
    @overload
    def start_activity(
        self, activity: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> SyncHandle[R]: ...
    @overload
    def start_activity(self, activity: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> SyncHandle[R]: ...
    def start_activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> SyncHandle[Any]:
        """Run an activity by itself, once the transaction is committed; see `TransactionalClient.start_activity`."""
        definition = activity_of(activity)
        started = self._client._call(lambda _: self._inside.start_activity(definition, *args, **kwargs))
        return SyncHandle(self._client, started.instance_id, definition)

    @overload
    def signal(
        self, instance_id: str, signal: Signal[None], value: None = None, *, idempotency_key: str | None = None
    ) -> None: ...
    @overload
    def signal(self, instance_id: str, signal: Signal[T], value: T, *, idempotency_key: str | None = None) -> None: ...
    def signal(
        self, instance_id: str, signal: Signal[Any], value: Any = None, *, idempotency_key: str | None = None
    ) -> None:
        """Send a signal; the instance is locked until the transaction ends. See `TransactionalClient.signal`."""
        self._client._call(lambda _: self._inside.signal(instance_id, signal, value, idempotency_key=idempotency_key))
