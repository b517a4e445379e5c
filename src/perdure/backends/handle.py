"""What the handles of all stores share that work on rows in a thread of their own: the Protocols over a desk and a reader."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar, Unpack, cast

from perdure.backends.answers import Answer, failed
from perdure.backends.desk import Desk
from perdure.backends.event_rows import decode_events
from perdure.backends.exports import Snapshot, from_exported, to_exported
from perdure.backends.histories import Histories
from perdure.backends.hub import Hub
from perdure.backends.looking import Looking
from perdure.backends.protocol import Beat, Housekeeping, Question, WorkerStart
from perdure.backends.rules import asking, importing, keeping, lives
from perdure.backends.unit.chore import Chore, Where, first, together
from perdure.backends.unit.unit import Unit
from perdure.clock import Clock, random_id, to_datetime
from perdure.errors import StoreCorrupt, StoreUsageError
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
from perdure.model.transition import ClaimTasks, Transition

O = TypeVar("O")  # noqa: E741 - the outcome
T = TypeVar("T")
H = TypeVar("H", bound=Hub)

_EVERYTHING = InstanceFilter()
_SECOND = 1_000_000


class RowBackend(Generic[H]):
    """Transitions and other writes go to the desk of its event loop, reads to the hub of the process."""

    _clock: Clock
    """The store's time."""
    _hub: H | None = None
    _desk: Desk | None = None
    _histories: Histories | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it is, without secrets."""

    @abstractmethod
    def _join_hub(self) -> H:
        """What this handle shares with the others of the process. Raises ConfigurationError."""

    @property
    def commits(self) -> int:
        """How many transactions the process has committed on this store."""
        return self._opened.committer.commits

    async def open(self) -> None:
        if self._hub is not None:
            return
        self._hub = self._join_hub()
        try:
            self._desk = await self._hub.attach()
            self._histories = Histories(self._look)
        except BaseException:
            self._hub = None
            raise

    async def close(self) -> None:
        hub, desk = self._hub, self._desk
        self._hub = self._desk = self._histories = None
        if hub is not None and desk is not None:
            await hub.detach(desk)

    # --- the hot half

    async def commit(self, transition: Transition[O]) -> O:
        return await self.submit(transition)

    def submit(self, transition: Transition[O]) -> Answer[O]:
        desk = self._desk
        if desk is None:
            return failed(asyncio.get_running_loop(), self._not_open())
        if type(transition) is ClaimTasks:
            return desk.claim(transition)  # type: ignore[return-value]
        return desk.submit(transition)

    async def start_worker(self, start: WorkerStart) -> int:
        key = await self._write(
            lambda unit: lives.start_worker(unit, start),
            follow=lambda key: lambda unit: lives.start_worker(unit, start, key=key),
        )
        self._at_desk.expect(key, start)
        await self.housekeep()
        return key

    async def beat(self, worker_key: int) -> Beat:
        chore = Chore(
            lambda unit: lives.beat(unit, worker_key), when_sealed=True, is_urgent=True, merge=lives.merge_beats
        )
        return cast("Beat", await self._at_desk.submit(chore))

    async def stop_worker(self, worker_key: int) -> None:
        await self._write(lambda unit: lives.stop_worker(unit, worker_key), when_sealed=True, merge=first)
        self._at_desk.forget(worker_key)

    async def retire_worker(self, worker_key: int, running: Collection[tuple[int, int]]) -> None:
        await self._write(lambda unit: lives.retire_worker(unit, worker_key, running), when_sealed=True, merge=first)

    async def housekeep(self) -> Housekeeping:
        return await self._write(lives.housekeep, merge=lives.merge_housekeeping)

    async def wait_for_work(self, worker_key: int, timeout_seconds: float) -> None:
        await (await self._desk_of(worker_key)).wait_for_work(worker_key, timeout_seconds)

    async def _desk_of(self, worker_key: int) -> Desk:
        """With a bell for the worker."""
        desk = self._at_desk
        if worker_key not in desk.bells:  # another handle started it
            start = await self._look(lambda looking: looking.read_start(worker_key))
            if start is not None:
                desk.expect(worker_key, start)
        return desk

    async def wait_for_outcome(self, instance_id: str, timeout_seconds: float) -> Outcome | None:
        async def look() -> Outcome | None:
            return await self.read_outcome(instance_id)

        outcome = await self._at_desk.wait_for_end(instance_id, timeout_seconds, look)
        return await look() if outcome is None else outcome

    async def read_events(self, instance_key: int, execution_id: bytes) -> Sequence[HistoryEvent]:
        if self._histories is None:
            raise self._not_open()
        rows = await self._histories.rows(instance_key, execution_id)
        if rows is None:
            return await self._read_history(instance_key, execution_id, -1, None)
        return [event for start, row in rows for event in decode_events(start, row)]

    async def ask(self, instance_id: str, request: bytes, timeout_seconds: float) -> bytes | None:
        question_id, keep = random_id(), round(timeout_seconds * _SECOND)
        post = partial(asking.post, question_id=question_id, instance_id=instance_id, request=request, keep=keep)
        return await self._wait_for_reply(question_id, timeout_seconds, post, about=instance_id)

    async def wait_for_answer(self, question_id: bytes, timeout_seconds: float) -> bytes | None:
        keep = round(timeout_seconds * _SECOND)
        expect = partial(asking.expect, question_id=question_id, keep=keep)
        return await self._wait_for_reply(question_id, timeout_seconds, expect, about=None)

    async def _wait_for_reply(
        self, question_id: bytes, timeout_seconds: float, post: Callable[[Unit], bool], *, about: str | None
    ) -> bytes | None:
        was_put = False

        async def put() -> bool:
            nonlocal was_put
            was_put = await self._write(post, about=about)
            return was_put

        try:
            return await self._at_desk.wait_for_reply(question_id, timeout_seconds, put)
        finally:
            if was_put:
                withdraw = Chore(lambda unit: asking.withdraw(unit, question_id), when_sealed=True, about=about)
                self._at_desk.submit(withdraw)

    async def wait_for_questions(self, worker_key: int, timeout_seconds: float) -> None:
        await (await self._desk_of(worker_key)).wait_for_questions(worker_key, timeout_seconds)

    async def take_questions(self, worker_key: int) -> Sequence[Question]:
        self._at_desk.questions_taken(worker_key)
        return await self._write(
            lambda unit: asking.take(unit, worker_key), when_sealed=True, merge=together, in_part=True
        )

    async def answer(self, question_id: bytes, reply: bytes) -> None:
        await self._write(lambda unit: asking.answer(unit, question_id, reply), when_sealed=True, merge=first)

    # --- the operators' half

    async def read_instance(self, instance_id: str) -> Instance:
        return await self._look(lambda looking: looking.read_instance(instance_id))

    async def read_executions(self, instance_id: str) -> Sequence[Execution]:
        return await self._look(lambda looking: looking.read_executions(instance_id))

    async def read_history(
        self, instance_id: str, *, execution_id: str | None = None, after: int = -1, limit: int = 1000
    ) -> Sequence[HistoryEvent]:
        key = await self._look(lambda looking: looking.instance_key(instance_id))
        wanted = None if execution_id is None else bytes.fromhex(execution_id)
        return await self._read_history(key, wanted, after, limit)

    async def read_arguments(self, instance_id: str) -> bytes:
        started = await self._look(lambda looking: looking.read_started(instance_id))
        return started.arguments

    async def read_outcome(self, instance_id: str) -> Outcome | None:
        return await self._look(lambda looking: looking.read_outcome(instance_id))

    async def read_published(self, instance_id: str, key: str) -> bytes | None:
        return await self._look(lambda looking: looking.read_published(instance_id, key))

    async def read_activities(self, instance_id: str) -> Sequence[PendingActivity]:
        return await self._look(lambda looking: looking.read_activities(instance_id))

    async def list_instances(
        self, where: InstanceFilter = _EVERYTHING, *, cursor: str | None = None, limit: int = 50
    ) -> Page[Instance]:
        return await self._look(lambda looking: looking.list_instances(where, cursor, limit))

    async def count_instances(self, where: InstanceFilter = _EVERYTHING) -> dict[State, int]:
        return await self._look(lambda looking: looking.count_instances(where))

    async def list_queues(self) -> Sequence[QueueStatus]:
        now = self._clock.now()
        return await self._look(lambda looking: looking.list_queues(now))

    async def list_workers(self) -> Sequence[WorkerStatus]:
        now = self._clock.now()
        return await self._look(lambda looking: looking.list_workers(now))

    async def prune(self, where: InstanceFilter, *, after: Ended | None = None, limit: int = 100) -> Pruned:
        # Found by the reader: who writes isn't held up by a search.
        found = await self._look(lambda looking: looking.ended_keys(where, after, limit))
        removed = await self._remove([each.key for each in found])
        return Pruned(removed=removed, last=found[-1] if len(found) == limit else None)

    async def remove_expired(self, *, limit: int = 100) -> int:
        now = self._clock.now()
        expired = await self._look(lambda looking: looking.expired_keys(now, limit))
        return await self._remove(expired) if expired else 0

    async def _remove(self, keys: Sequence[int]) -> int:
        return await self._write(lambda unit: keeping.remove_ended(unit, keys), merge=sum)

    async def put_blob(self, instance_key: int, blob_id: bytes, data: bytes) -> None:
        await self._write(lambda unit: keeping.put_blob(unit, instance_key, blob_id, data), about=instance_key)

    async def read_blob(self, blob_id: bytes) -> bytes:
        found = await self._look(lambda looking: looking.read_blob(blob_id))
        if found is None:
            raise StoreCorrupt(f"there is no blob {blob_id.hex()}")
        return found

    async def put_setting(self, kind: SettingKind, name: str, value: bytes) -> None:
        await self._write_everywhere(lambda unit: keeping.put_setting(unit, kind, name, value), when_filling=True)

    async def list_settings(self, kind: SettingKind) -> dict[str, bytes]:
        return await self._look(lambda looking: looking.list_settings(kind.value))

    async def delete_setting(self, kind: SettingKind, name: str) -> bool:
        return await self._write_everywhere(lambda unit: keeping.delete_setting(unit, kind, name))

    async def export_instances(self, where: InstanceFilter = _EVERYTHING) -> AsyncIterator[ExportedInstance]:
        last = -1
        while keys := await self._keys_after(where, last):
            for last in keys:
                snapshot = await self._snapshot_of(last)
                if snapshot is not None:
                    yield to_exported(snapshot)

    async def import_instance(self, exported: ExportedInstance) -> bool:
        snapshot = from_exported(exported)
        return await self._write(
            lambda unit: importing.import_snapshot(unit, snapshot),
            when_filling=True,
            about=snapshot.instance.instance_id,
        )

    async def seal(self, target: str | None) -> None:
        await self._write_everywhere(lambda unit: keeping.seal(unit, target), when_sealed=True)

    async def now(self) -> datetime:
        return to_datetime(self._clock.now())

    def watch_commits(self, told: Callable[[int, float], None]) -> None:
        self._at_desk.mailbox.watch = told

    # --- shared by several

    @property
    def _opened(self) -> H:
        if self._hub is None:
            raise self._not_open()
        return self._hub

    async def _look(self, action: Callable[[Looking], T]) -> T:
        """What `action` reads, in another thread."""
        return await self._opened.read(action)

    @property
    def _at_desk(self) -> Desk:
        if self._desk is None:
            raise self._not_open()
        return self._desk

    def _not_open(self) -> StoreUsageError:
        return StoreUsageError(f"The store {self.url} isn't open: await its open() first.")

    async def _write(self, change: Callable[[Unit], T], **where: Unpack[Where]) -> T:
        return cast("T", await self._at_desk.submit(Chore(change, **where)))

    async def _write_everywhere(
        self, change: Callable[[Unit], T], *, when_sealed: bool = False, when_filling: bool = False
    ) -> T:
        """The same in each partition; who is broken off repeats it."""
        return await self._write(change, when_sealed=when_sealed, when_filling=when_filling, follow=lambda _: change)

    async def _keys_after(self, where: InstanceFilter, last: int) -> list[int]:
        return await self._look(lambda looking: looking.next_keys(where, last))

    async def _snapshot_of(self, key: int) -> Snapshot | None:
        return await self._look(lambda looking: looking.snapshot_of(key))

    async def _read_history(
        self, key: int, execution_id: bytes | None, after: int, limit: int | None
    ) -> Sequence[HistoryEvent]:
        """By pages, so that no transaction is long; a history only grows at its end."""
        number = await self._look(lambda looking: looking.execution_number(key, execution_id))
        events: list[HistoryEvent] = []
        has_more = number is not None
        while has_more and (limit is None or len(events) < limit):
            position = events[-1].position + 1 if events else after + 1
            page, has_more = await self._history_page(key, number or 0, position)
            events += page
        return events if limit is None else events[:limit]

    async def _history_page(self, key: int, number: int, position: int) -> tuple[list[HistoryEvent], bool]:
        """The events from `position` on, and whether there may be more."""
        rows, has_more = await self._look(lambda looking: looking.read_rows(key, number, position))
        events = (event for start, row in rows for event in decode_events(start, row))
        return [event for event in events if event.position >= position], has_more
