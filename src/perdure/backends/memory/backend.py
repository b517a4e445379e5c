"""`MemoryBackend`: a memory store, opened on one event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from perdure.backends.answers import Answer, failed, settled
from perdure.backends.apart import BLOB_THRESHOLD
from perdure.backends.exports import Snapshot, from_exported, to_exported
from perdure.backends.memory import asking, keeping, reading, workers
from perdure.backends.memory.closing import outcome_of
from perdure.backends.memory.rows import InstanceRow, QuestionRow
from perdure.backends.memory.store import MemoryStore
from perdure.backends.memory.tables import Tables
from perdure.backends.memory.waking import Bell, Waiter
from perdure.backends.protocol import Beat, Housekeeping, Question, WorkerStart
from perdure.backends.timeouts import Timeouts
from perdure.clock import Micros, to_datetime
from perdure.errors import ConfigurationError
from perdure.model.inspection import (
    Ended,
    ExportedInstance,
    HistoryEvent,
    InstanceFilter,
    Page,
    PendingActivity,
    Pruned,
    QueueStatus,
    SettingKind,
    WorkerStatus,
)
from perdure.model.instance import Execution, Instance, Outcome, State
from perdure.model.transition import Transition

O = TypeVar("O")  # noqa: E741 - the outcome
T = TypeVar("T")
_EVERYTHING = InstanceFilter()

_named: dict[str, MemoryStore] = {}
_named_lock = threading.Lock()


def _store_of(url: str, blob_threshold: int) -> MemoryStore:
    """The store of `memory://name`, the same one for the whole process; of `memory://` alone a new one."""
    scheme, found, name = url.partition("://")
    if scheme != "memory" or not found:
        raise ConfigurationError(f"{url!r} is no memory store: use memory:// or memory://name")
    if not name:
        return MemoryStore(blob_threshold=blob_threshold)
    with _named_lock:
        return _named.setdefault(name, MemoryStore(name=name, blob_threshold=blob_threshold))


def _snapshot(tables: Tables, now: Micros, *, key: int) -> Snapshot | None:
    return keeping.snapshot_of(tables, key)


class MemoryBackend:
    """A store in this process's memory. It opens at once; closing a handle loses nothing while another one has the store.

    `memory://name` is one store per name for the whole process, `memory://` a fresh one for each handle and its twins.
    """

    def __init__(self, store: MemoryStore | str = "memory://", *, blob_threshold: int = BLOB_THRESHOLD) -> None:
        self.store = _store_of(store, blob_threshold) if isinstance(store, str) else store
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timeouts: Timeouts[bool] | None = None

    @property
    def url(self) -> str:
        return f"memory://{self.store.name}"

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        pass

    def twin(self) -> MemoryBackend:
        return MemoryBackend(self.store)

    # --- the hot half

    async def commit(self, transition: Transition[O]) -> O:
        return self.store.commit(transition)

    def submit(self, transition: Transition[O]) -> Answer[O]:
        """It is settled when this returns."""
        loop = self._loop or asyncio.get_running_loop()
        try:
            return settled(loop, self.store.commit(transition))
        except Exception as problem:
            return failed(loop, problem)

    async def start_worker(self, start: WorkerStart) -> int:
        return self.store.write(lambda tables, now: workers.start_worker(tables, start, now))

    async def beat(self, worker_key: int) -> Beat:
        return self.store.locked(lambda tables, now: workers.beat(tables, worker_key, now))

    async def stop_worker(self, worker_key: int) -> None:
        self.store.locked(lambda tables, now: workers.stop_worker(tables, worker_key, now))

    async def retire_worker(self, worker_key: int, running: Collection[tuple[int, int]]) -> None:
        self.store.locked(lambda tables, now: workers.retire_worker(tables, worker_key, running, now))

    async def housekeep(self) -> Housekeeping:
        return self.store.write(workers.housekeep)

    async def wait_for_work(self, worker_key: int, timeout_seconds: float) -> None:
        def look(tables: Tables, now: Micros) -> Bell | None:
            worker = tables.workers.get(worker_key)
            if worker is None:
                return Bell()  # one that nobody rings
            return None if worker.bell.is_rung else worker.bell

        await self._wait(look, timeout_seconds)

    async def wait_for_questions(self, worker_key: int, timeout_seconds: float) -> None:
        def look(tables: Tables, now: Micros) -> Bell | None:
            worker = tables.workers.get(worker_key)
            if worker is None:
                return Bell()
            return None if asking.has_questions(tables, worker) else worker.asked

        await self._wait(look, timeout_seconds)

    async def wait_for_outcome(self, instance_id: str, timeout_seconds: float) -> Outcome | None:
        def look(tables: Tables, now: Micros) -> Outcome | Bell:
            outcome = outcome_of(reading.find(tables, instance_id))
            if outcome is not None:
                return outcome
            bell = tables.ends[instance_id]
            bell.add(waiter)
            return bell

        def leave(tables: Tables, now: Micros) -> None:
            bell.remove(waiter)
            if not bell.has_waiters and tables.ends.get(instance_id) is bell:
                del tables.ends[instance_id]

        waiter, is_rung = self._waiter(), False
        found = self.store.locked(look)
        if isinstance(found, Outcome):
            await asyncio.sleep(0)  # who asks in a loop lets others run
            return found
        bell = found
        try:
            is_rung = await waiter.wait(timeout_seconds)
        finally:
            if not is_rung:
                self.store.locked(leave)
        return self.store.locked(lambda tables, now: outcome_of(reading.find(tables, instance_id)))

    async def read_events(self, instance_key: int, execution_id: bytes) -> Sequence[HistoryEvent]:
        def read(tables: Tables, now: Micros) -> Sequence[tuple[int, bytes]]:
            row = tables.instances.get(instance_key)
            return () if row is None else reading.history_of(row, execution_id)

        return reading.events_of(self.store.locked(read))

    async def ask(self, instance_id: str, request: bytes, timeout_seconds: float) -> bytes | None:
        row = self.store.write(
            lambda tables, now: asking.post(tables, instance_id, request, now + round(timeout_seconds * 1_000_000))
        )
        return None if row is None else await self._wait_for_reply(row, timeout_seconds)

    async def wait_for_answer(self, question_id: bytes, timeout_seconds: float) -> bytes | None:
        row = self.store.write(
            lambda tables, now: asking.expect(tables, question_id, now + round(timeout_seconds * 1_000_000))
        )
        return await self._wait_for_reply(row, timeout_seconds)

    async def _wait_for_reply(self, row: QuestionRow, timeout_seconds: float) -> bytes | None:
        try:
            await self._wait(lambda tables, now: None if row.is_answered else row.bell, timeout_seconds)
        finally:
            self.store.locked(lambda tables, now: tables.questions.pop(row.question.question_id, None))
        return row.reply

    async def take_questions(self, worker_key: int) -> Sequence[Question]:
        return self.store.locked(lambda tables, now: asking.take(tables, worker_key))

    async def answer(self, question_id: bytes, reply: bytes) -> None:
        self.store.locked(lambda tables, now: asking.answer(tables, question_id, reply))

    # --- the operators' half

    async def read_instance(self, instance_id: str) -> Instance:
        return await self._of(instance_id, reading.instance_of)

    async def read_executions(self, instance_id: str) -> Sequence[Execution]:
        return await self._of(instance_id, reading.executions_of)

    async def read_history(
        self, instance_id: str, *, execution_id: str | None = None, after: int = -1, limit: int = 1000
    ) -> Sequence[HistoryEvent]:
        def read(row: InstanceRow) -> Sequence[tuple[int, bytes]]:
            return reading.history_of(row, row.execution_id if execution_id is None else bytes.fromhex(execution_id))

        return reading.events_of(await self._of(instance_id, read), after=after, limit=limit)

    async def read_arguments(self, instance_id: str) -> bytes:
        return await self._of(instance_id, lambda row: row.started.arguments)

    async def read_outcome(self, instance_id: str) -> Outcome | None:
        return await self._of(instance_id, outcome_of)

    async def read_published(self, instance_id: str, key: str) -> bytes | None:
        return await self._of(instance_id, lambda row: row.published.get(key))

    async def read_activities(self, instance_id: str) -> Sequence[PendingActivity]:
        return await self._of(instance_id, reading.activities_of)

    async def list_instances(
        self, where: InstanceFilter = _EVERYTHING, *, cursor: str | None = None, limit: int = 50
    ) -> Page[Instance]:
        return self.store.locked(lambda tables, now: reading.list_instances(tables, where, cursor, limit))

    async def count_instances(self, where: InstanceFilter = _EVERYTHING) -> dict[State, int]:
        return self.store.locked(lambda tables, now: reading.count_instances(tables, where))

    async def list_queues(self) -> Sequence[QueueStatus]:
        return self.store.locked(reading.list_queues)

    async def list_workers(self) -> Sequence[WorkerStatus]:
        return self.store.locked(reading.list_workers)

    async def prune(self, where: InstanceFilter, *, after: Ended | None = None, limit: int = 100) -> Pruned:
        return self.store.write(lambda tables, now: keeping.prune(tables, where, after, limit))

    async def remove_expired(self, *, limit: int = 100) -> int:
        return self.store.write(lambda tables, now: keeping.remove_expired(tables, now, limit))

    async def put_blob(self, instance_key: int, blob_id: bytes, data: bytes) -> None:
        self.store.write(lambda tables, now: keeping.put_blob(tables, instance_key, blob_id, data))

    async def read_blob(self, blob_id: bytes) -> bytes:
        return self.store.locked(lambda tables, now: keeping.read_blob(tables, blob_id))

    async def put_setting(self, kind: SettingKind, name: str, value: bytes) -> None:
        self.store.write(lambda tables, now: keeping.put_setting(tables, kind, name, value), when_filling=True)

    async def list_settings(self, kind: SettingKind) -> dict[str, bytes]:
        return self.store.locked(
            lambda tables, now: {name: tables.settings[of, name] for of, name in sorted(tables.settings) if of is kind}
        )

    async def delete_setting(self, kind: SettingKind, name: str) -> bool:
        return self.store.write(lambda tables, now: keeping.delete_setting(tables, kind, name))

    async def export_instances(self, where: InstanceFilter = _EVERYTHING) -> AsyncIterator[ExportedInstance]:
        keys = self.store.locked(lambda tables, now: sorted(row.key for row in reading.matching(tables, where)))
        for key in keys:
            snapshot = self.store.locked(partial(_snapshot, key=key))
            if snapshot is not None:
                yield to_exported(snapshot)

    async def import_instance(self, exported: ExportedInstance) -> bool:
        snapshot = from_exported(exported)
        return self.store.write(lambda tables, now: keeping.import_snapshot(tables, snapshot, now), when_filling=True)

    async def seal(self, target: str | None) -> None:
        self.store.locked(lambda tables, now: keeping.seal(tables, target, now))

    async def now(self) -> datetime:
        return to_datetime(self.store.clock.now())

    # --- shared by several

    def _waiter(self) -> Waiter:
        loop = asyncio.get_running_loop()
        if self._timeouts is None or loop is not self._loop:
            self._loop, self._timeouts = loop, Timeouts(loop, outcome=False)
        return Waiter(loop, self._timeouts)

    async def _of(self, instance_id: str, read: Callable[[InstanceRow], T]) -> T:
        await asyncio.sleep(0)  # who reads in a loop lets others run
        return self.store.locked(lambda tables, now: read(reading.find(tables, instance_id)))

    async def _wait(self, look: Callable[[Tables, Micros], Bell | None], timeout_seconds: float) -> None:
        """Wait for the bell that `look` gives; None is: there is nothing to wait for."""
        waiter = self._waiter()

        def wait_at_bell(tables: Tables, now: Micros) -> Bell | None:
            bell = look(tables, now)
            if bell is not None:
                bell.add(waiter)
            return bell

        bell = self.store.locked(wait_at_bell)
        if bell is None:
            await asyncio.sleep(0)  # who asks in a loop lets others run
            return
        try:
            await waiter.wait(timeout_seconds)
        finally:
            self.store.locked(lambda tables, now: bell.remove(waiter))
