"""Schedules, for code without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from perdure.client.client import Client
from perdure.client.schedules import ScheduleHandle
from perdure.client.synchronous_handle import SyncHandle
from perdure.workflows.scheduling import ScheduleStatus

if TYPE_CHECKING:
    from perdure.client.synchronous import SyncClient

P = ParamSpec("P")
T = TypeVar("T")


class SyncScheduleHandle:
    """One schedule, by its id; the methods are those of `ScheduleHandle`, and wait."""

    __slots__ = ("_client", "id")

    def __init__(self, client: SyncClient, schedule_id: str) -> None:
        self._client = client
        self.id: str = schedule_id

    def status(self) -> ScheduleStatus:
        """How it stands. See `ScheduleHandle.status`."""
        return self._call(ScheduleHandle.status)

    def pause(self) -> None:
        """Let nothing start until `resume`; runs go on."""
        self._call(ScheduleHandle.pause)

    def resume(self) -> None:
        """Undo `pause`. See `ScheduleHandle.resume`."""
        self._call(ScheduleHandle.resume)

    def trigger(self) -> SyncHandle[Any]:
        """Start a run now, beside any other one. See `ScheduleHandle.trigger`."""
        return self._client.handle(self._call(ScheduleHandle.trigger).instance_id)

    def delete(self) -> None:
        """Remove the schedule; what it has started goes on."""
        self._call(ScheduleHandle.delete)

    def _call(
        self,
        method: Callable[Concatenate[ScheduleHandle, P], Coroutine[Any, Any, T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        async def ask(client: Client) -> T:
            return await method(client.schedules.handle(self.id), *args, **kwargs)

        return self._client._call(ask)

    def __repr__(self) -> str:
        return f"<handle of schedule {self.id!r}>"


class SyncSchedules:
    """The schedules of a store; the methods are those of `Schedules`, and wait."""

    __slots__ = ("_client",)

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    def handle(self, schedule_id: str) -> SyncScheduleHandle:
        """A handle from an id. The store isn't asked."""
        return SyncScheduleHandle(self._client, schedule_id)

    def list(self) -> Iterator[ScheduleStatus]:
        """Every schedule that isn't over, the newest first."""
        return self._client._iterate(lambda client: client.schedules.list())
