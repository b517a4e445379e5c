"""A client and a worker on one store, in one process: the whole of perdure in an `async with`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self, TypedDict, Unpack

from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.client.client import Client
from perdure.client.synchronous import SyncClient
from perdure.client.waiting import wait_for_outcome
from perdure.clock import Clock
from perdure.engine.limits import Limits
from perdure.errors import StoreUnavailable
from perdure.model.instance import Outcome
from perdure.model.options import Duration
from perdure.model.reply import Query, Reply
from perdure.model.transition import Appended, AppendEvent, Created, CreateInstance, Existing, NotAppended
from perdure.worker.guard import GuardMode
from perdure.worker.worker import Worker


class WorkerSettings(TypedDict, total=False):
    """The options of `Worker`, as an Orchestrator passes them on."""

    queues: Iterable[str] | None
    workflow_queues: Iterable[str] | None
    activity_queues: Iterable[str] | None
    versions: Iterable[str] | None
    max_workflow_tasks: int | None
    max_activities: int | None
    activity_threads: int | None
    cache_size: int | None
    grace: Duration | None
    block_limit: Duration | None
    lease: Duration | None
    limits: Limits | None
    guard: GuardMode | str | None
    name: str | None
    logger: logging.Logger | None


class Orchestrator(Client):
    """A `Client` that also runs the workflows and activities of its App, from `async with` to its end.

    It *is* a client, with nothing taken away: hence a subclass, where delegation would repeat every typed signature. The
    worker stops gracefully at the end of the block; what isn't finished goes on when the next worker starts. If the
    worker fails (the store was moved, say), whoever waits here for a result gets its error.
    """

    def __init__(
        self,
        store: str | Backend,
        app: App,
        *,
        keep_keys: Duration = timedelta(days=7),
        clock: Clock | None = None,
        **settings: Unpack[WorkerSettings],
    ) -> None:
        super().__init__(store, app, keep_keys=keep_keys, clock=clock)
        self._worker = self._make_worker(app, clock, settings)

    def _make_worker(self, app: App, clock: Clock | None, settings: WorkerSettings) -> Worker:
        return Worker(self._store, app, clock=clock, **settings)

    @property
    def worker(self) -> Worker:
        """The worker, to be looked at or stopped early."""
        return self._worker

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            await self._worker.__aenter__()
        except BaseException as error:
            await super().__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._worker.__aexit__(kind, error, traceback)
        finally:
            await super().__aexit__(kind, error, traceback)

    async def _create(self, asked: CreateInstance) -> Created | Existing:
        """In the worker's hands from the start, if it has room."""
        self._outside()
        taken = self._worker._create(asked)
        if taken is not None:
            with suppress(StoreUnavailable):  # whether it took place isn't known: repeating it tells
                found = await taken
                if found is not None:
                    return found
        return await super()._create(asked)

    async def _send(self, asked: AppendEvent) -> Appended | NotAppended:
        self._outside()
        taken = self._worker._append(asked)
        if taken is not None:
            with suppress(StoreUnavailable):
                return await taken
        return await super()._send(asked)

    async def _ask(self, instance_id: str, query: Query) -> Reply | None:
        told = self._worker._ask(instance_id, query)
        if told is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(query.seconds):
                    return await told
            return None
        return await super()._ask(instance_id, query)

    async def _wait_for_outcome(self, instance_id: str, timeout: Duration | None) -> Outcome:  # noqa: ASYNC109 - as Client
        return await wait_for_outcome(self.backend, instance_id, timeout, self._clock, check=self._check_worker)

    def _check_worker(self) -> None:
        """Raise what the worker failed with. One that was stopped early failed nobody: others may go on."""
        working = self._worker._task
        if working is not None and working.done():
            working.result()


class SyncOrchestrator(SyncClient):
    """An `Orchestrator` whose methods are plain functions: its worker shares the thread of its client.

    For scripts, notebooks and tests. The worker begins at `with`, `open` or the first call, and stops gracefully at the end.
    """

    def __init__(
        self,
        store: str | Backend,
        app: App,
        *,
        keep_keys: Duration = timedelta(days=7),
        **settings: Unpack[WorkerSettings],
    ) -> None:
        self._make_with(store, lambda opened: Orchestrator(opened, app, keep_keys=keep_keys, **settings))
