"""What a client can look at: one instance, or many. Nothing here changes a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar, Unpack, overload

from perdure.backends.protocol import Backend
from perdure.backends.weight import read_published
from perdure.client.filters import Filters, instance_filter
from perdure.client.listing import Stats, read_history, read_instances, read_saved, read_stats
from perdure.client.repeating import repeat
from perdure.model.inspection import HistoryEvent, Page, PendingActivity
from perdure.model.instance import Execution, Instance, State
from perdure.serialization.payloads import Payloads
from perdure.serialization.saved import SavedHistory

T = TypeVar("T")
D = TypeVar("D")


class Reader:
    """The part of `Client` that reads."""

    _payloads: Payloads

    @property
    def backend(self) -> Backend:
        """The open store."""
        raise NotImplementedError

    # one instance

    async def state(self, instance_id: str) -> State:
        """Where the instance stands. Raises InstanceNotFound."""
        return (await self.info(instance_id)).state

    async def info(self, instance_id: str) -> Instance:
        """All that is known of the instance but its history. Raises InstanceNotFound."""
        store = self.backend
        return await repeat(lambda: store.read_instance(instance_id))

    def history(
        self, instance_id: str, *, execution_id: str | None = None, blobs: bool = False
    ) -> AsyncIterator[HistoryEvent]:
        """The events of the current execution, or the named one (`executions` has their ids), in order.

        Large payloads are kept apart, and only references stand in their events, unless `blobs`: then they are read as well, an
        event at a time. Raises InstanceNotFound.
        """
        return read_history(self.backend, instance_id, execution_id, blobs=blobs)

    async def export_history(self, instance_id: str, *, execution_id: str | None = None) -> SavedHistory:
        """The same as one value, to be saved (`to_json`), replayed or compared. Raises InstanceNotFound."""
        instance = await self.info(instance_id)
        return await read_saved(self.backend, instance, execution_id or instance.execution_id)

    async def executions(self, instance_id: str) -> Sequence[Execution]:
        """The executions of the instance, which continue-as-new began, oldest first. Raises InstanceNotFound."""
        store = self.backend
        return await repeat(lambda: store.read_executions(instance_id))

    async def activities(self, instance_id: str) -> Sequence[PendingActivity]:
        """The activities of the current execution that haven't ended. Raises InstanceNotFound."""
        store = self.backend
        return await repeat(lambda: store.read_activities(instance_id))

    @overload
    async def read(self, instance_id: str, key: str) -> Any: ...
    @overload
    async def read(self, instance_id: str, key: str, kind: type[T]) -> T: ...
    @overload
    async def read(self, instance_id: str, key: str, kind: type[T], default: D) -> T | D: ...
    async def read(self, instance_id: str, key: str, kind: Any = Any, default: Any = ...) -> Any:
        """The last value that the workflow published under `key`, as a `kind`; also after the end.

        `default` if there is none (yet); LookupError without a default. Raises InstanceNotFound, DecodeError.
        """
        store = self.backend
        payload = await repeat(lambda: read_published(store, instance_id, key))
        if payload is not None:
            return self._payloads.decode(payload, kind)
        if default is ...:
            raise LookupError(f"instance {instance_id!r} has published nothing under {key!r} so far: pass a default")
        return default

    # many

    def list(self, **filters: Unpack[Filters]) -> AsyncIterator[Instance]:
        """Every instance that the filters let through, newest first; pages are read as they are needed."""
        return read_instances(self.backend, instance_filter(filters))

    async def page(self, *, cursor: str | None = None, limit: int = 50, **filters: Unpack[Filters]) -> Page[Instance]:
        """A page of what `list` gives, for user interfaces; its cursor leads to the next one, also in a later process."""
        store, where = self.backend, instance_filter(filters)
        return await repeat(lambda: store.list_instances(where, cursor=cursor, limit=limit))

    async def count(self, **filters: Unpack[Filters]) -> dict[State, int]:
        """How many instances the filters let through, by state; states without any are left out."""
        store, where = self.backend, instance_filter(filters)
        return await repeat(lambda: store.count_instances(where))

    async def stats(self) -> Stats:
        """How many instances there are, what waits on which queue, and who works on it."""
        return await read_stats(self.backend)
