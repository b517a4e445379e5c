"""The limits of queues, for code without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.model.inspection import QueueLimits

if TYPE_CHECKING:
    from perdure.client.synchronous import SyncClient


class SyncQueues:
    """Limits of queues, over all workers of a store; the methods are those of `Queues`, and wait."""

    __slots__ = ("_client",)

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    def limits(self) -> dict[str, QueueLimits]:
        """By queue; queues without limits are left out."""
        return self._client._call(lambda client: client.queues.limits())

    def set_limits(self, queue: str, *, at_once: int | None = None, per_second: float | None = None) -> None:
        """Set both limits of a queue; None is no limit. See `Queues.set_limits`."""
        self._client._call(lambda client: client.queues.set_limits(queue, at_once=at_once, per_second=per_second))

    def pause(self, queue: str) -> None:
        """Let no activity of the queue begin until `resume`."""
        self._client._call(lambda client: client.queues.pause(queue))

    def resume(self, queue: str) -> None:
        """Undo `pause`; the limits are as before."""
        self._client._call(lambda client: client.queues.resume(queue))
