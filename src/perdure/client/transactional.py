"""A client inside a transaction of the user's: what it starts and signals commits or vanishes with what else is written there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, overload

from perdure.activities.definition import Activity, activity_of
from perdure.backends.joining.protocol import Joined
from perdure.client.handle import Handle
from perdure.model.transition import Appended, AppendEvent, Created, CreateInstance, Existing, NotAppended
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow_of
from perdure.workflows.signal import Signal

if TYPE_CHECKING:
    from perdure.client.client import Client

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class TransactionalClient:
    """Starts workflows and activities, and signals them, through a connection of yours, inside its open transaction; see `Client.using`.

    Nothing is seen by anybody else before you commit, and nothing has happened if you roll back. Whatever a method raises, the
    transaction goes on as if it hadn't been called, unless the database itself has ended it: errors of your connection, such as
    a dead-lock or a serialization failure, are raised as your driver raises them, and are yours to retry.
    """

    def __init__(self, client: Client, joined: Joined) -> None:
        self._client = client
        self._joined = joined

    async def start(
        self,
        workflow: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Handle[R]:
        """Start a workflow; its handle is of use after the commit. See `Client.start`. Raises StoreUsageError, too."""
        definition = workflow_of(workflow)
        started = await self._client._sending.start(self, self._client.backend, definition, args, kwargs)
        return Handle(self._client, started, definition)

    @overload
    async def start_activity(self, activity: Activity[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]: ...
    @overload
    async def start_activity(
        self, activity: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Handle[R]: ...
    @overload
    async def start_activity(self, activity: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]: ...
    async def start_activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> Handle[Any]:
        """Run an activity by itself, once the transaction is committed; see `Client.start_activity`."""
        definition = activity_of(activity)
        started = await self._client._sending.start_activity(self, self._client.backend, definition, args, kwargs)
        return Handle(self._client, started, definition)

    @overload
    async def signal(
        self, instance_id: str, signal: Signal[None], value: None = None, *, idempotency_key: str | None = None
    ) -> None: ...
    @overload
    async def signal(
        self, instance_id: str, signal: Signal[T], value: T, *, idempotency_key: str | None = None
    ) -> None: ...
    async def signal(
        self, instance_id: str, signal: Signal[Any], value: Any = None, *, idempotency_key: str | None = None
    ) -> None:
        """Send a signal; the instance is locked until the transaction ends. See `Client.signal`.

        Raises StoreUsageError, too.
        """
        await self._client._sending.signal(self, instance_id, signal, value, idempotency_key)

    async def _create(self, asked: CreateInstance) -> Created | Existing:
        return await self._joined.commit(asked)

    async def _send(self, asked: AppendEvent) -> Appended | NotAppended:
        return await self._joined.commit(asked)
