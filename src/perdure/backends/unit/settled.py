"""What a unit knows of the store as a whole, and what changes seldom: limits of queues, who is alive, the seal."""

from __future__ import annotations

import msgspec

from perdure.backends.protocol import WorkerStart
from perdure.backends.unit.tables import Tables
from perdure.model.inspection import QueueLimits

_decode_start = msgspec.msgpack.Decoder(WorkerStart).decode
_decode_limits = msgspec.json.Decoder(QueueLimits).decode


class Settled:
    """Read when first asked for."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._limits: dict[str, QueueLimits] | None = None
        self._workers: dict[int, WorkerStart | None] = {}
        self._seal: tuple[str | None] | None = None

    def forget(self) -> None:
        """Read it again: it may have changed."""
        self._limits = self._seal = None
        self._workers.clear()

    def limits(self) -> dict[str, QueueLimits]:
        """Of the queues that have any."""
        if self._limits is None:
            self._limits = {name: _decode_limits(value) for name, value in self._tables.queue_limits()}
        return self._limits

    def worker(self, key: int) -> WorkerStart | None:
        """What a worker serves; None for one that was marked dead or forgotten, or takes nothing more."""
        if key not in self._workers:
            found = self._tables.worker_start(key)
            start = None if found is None else _decode_start(found)
            self._workers[key] = None if start is None or start.is_retired else start
        return self._workers[key]

    def worker_changed(self, key: int) -> None:
        self._workers.pop(key, None)

    def seal_changed(self) -> None:
        self._seal = None

    def seal_target(self) -> str | None:
        """Where the store was moved to."""
        seal = self._seal
        if seal is None:
            seal = self._seal = (self._tables.seal_target(),)
        return seal[0]
