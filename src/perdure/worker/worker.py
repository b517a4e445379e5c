"""The worker, as its users see it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self

from perdure.activities.definition import Activity
from perdure.app import App
from perdure.backends.connect import connect
from perdure.backends.protocol import Backend
from perdure.clock import Clock, SystemClock
from perdure.engine.limits import Limits
from perdure.engine.whereabouts import Place
from perdure.errors import ConfigurationError
from perdure.model.options import Duration
from perdure.model.reply import Query, Reply
from perdure.model.transition import Appended, AppendEvent, Created, CreateInstance, Existing, NotAppended
from perdure.observability.logging import Loggers
from perdure.worker.collector import frozen_heap, patient_collector
from perdure.worker.guard import GuardMode
from perdure.worker.keeper import Aside, in_a_thread
from perdure.worker.lifespan import entered_lifespan
from perdure.worker.lives import Lives
from perdure.worker.options import WorkerOptions, worker_options
from perdure.worker.possessions import Possessions
from perdure.worker.slots import Slots
from perdure.worker.stopping import StopRequest, stop_on_signals
from perdure.worker.threads import Threads


class Worker:
    """Runs the workflows and activities of an App.

    `async with Worker(store, app):` works in the background of a program; `await worker.run_forever()` is for a process of
    its own. `store` is a URL, or an open Backend, which isn't closed.

    An option that is None has its default. `queues` are served for workflows and activities alike, unless
    `workflow_queues` or `activity_queues` says otherwise; `()` there makes a worker for the other kind alone. `versions`
    are the values of App(version=) at the start of the instances that it takes; all by default. At most
    `max_workflow_tasks` (1,000) and `max_activities` (200) are worked on at once, plain functions among these in up to
    `activity_threads` threads. `cache_size` (2,000) executions stay in memory. Running activities have `grace` (10 s) to
    end when the worker stops. Workflow code that blocks the event loop for `block_limit` (30 s) is marked stuck. `lease`
    (20 s) is how long others wait before they take over from a worker that has gone silent. `guard` ("off", "warn" or
    "raise") is what it does about workflow code that reads clocks, draws numbers, or uses files or the network. It logs to
    `worker`, `workflow` and `activity` below `logger` ("perdure").

    Raises ConfigurationError for options that can't be meant.
    """

    def __init__(  # noqa: PLR0913 - each is an option with a default
        self,
        store: str | Backend,
        app: App,
        *,
        queues: Iterable[str] | None = None,
        workflow_queues: Iterable[str] | None = None,
        activity_queues: Iterable[str] | None = None,
        versions: Iterable[str] | None = None,
        max_workflow_tasks: int | None = None,
        max_activities: int | None = None,
        activity_threads: int | None = None,
        cache_size: int | None = None,
        grace: Duration | None = None,
        block_limit: Duration | None = None,
        lease: Duration | None = None,
        limits: Limits | None = None,
        guard: GuardMode | str | None = None,
        name: str | None = None,
        logger: logging.Logger | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.options: WorkerOptions = worker_options(
            name=name,
            queues=queues,
            workflow_queues=workflow_queues,
            activity_queues=activity_queues,
            versions=versions,
            max_workflow_tasks=max_workflow_tasks,
            max_activities=max_activities,
            activity_threads=activity_threads,
            cache_size=cache_size,
            grace=grace,
            block_limit=block_limit,
            lease=lease,
            limits=limits,
            guard=guard,
        )
        trace_ids = None if app.telemetry is None else app.telemetry.current_ids
        self.loggers: Loggers = Loggers(logger, self.options.name, trace_ids)
        self._app = app
        self._is_store_ours = isinstance(store, str)
        self._backend = connect(store) if isinstance(store, str) else store
        self._clock: Clock = clock or SystemClock()
        self._stop = StopRequest()
        self._task: asyncio.Task[None] | None = None
        self._lives: Lives | None = None
        self._aside: Aside = in_a_thread  # a simulation has one event loop for everything

    @property
    def name(self) -> str:
        """As operators see it: host, process id and a random part, unless it was given."""
        return self.options.name

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise ConfigurationError("this worker runs already, or has ended: make another one")
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # The one task outside of a TaskGroup: it lasts as long as the block, and a group would wrap the block's exceptions.
        self._task = task = asyncio.create_task(self._work(started), name=f"perdure worker {self.name}")
        try:
            await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait((task,))
            raise
        if task.done():
            task.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        except Exception as problem:
            if error is None:
                raise
            if problem is not error:
                self.loggers.worker.exception("the worker had failed")

    async def run_forever(self) -> None:
        """Work until SIGTERM, Ctrl-C or `stop`; then end gracefully, or at once after a second signal.

        Signals are heard on the main thread alone. Raises StoreSealed if the store was moved, and what opening the store
        or entering the App's lifespan raises.
        """
        with stop_on_signals(self._stop):
            if self._task is None:
                async with self:
                    await self._run_on()
            else:
                await self._run_on()

    async def stop(self, *, at_once: bool = False) -> None:
        """End gracefully, or without a grace period; returns when it has ended. Cancelling this makes it at once.

        Running activities get the grace period, then CancelledError; what they didn't finish, other workers begin anew.
        Raises what the worker failed with.
        """
        if at_once:
            self._stop.hurry()
        else:
            self._stop.request()
        await self._wait_for_end()

    # for a client in the same process, on the same event loop

    def _create(self, asked: CreateInstance) -> asyncio.Future[Created | Existing | None] | None:
        """Create the instance together with its first step; None, at once or later, if it is to be created without."""
        life = None if self._lives is None else self._lives.serving
        return None if life is None else life.shortcuts.create(asked)

    def _append(self, asked: AppendEvent) -> asyncio.Future[Appended | NotAppended] | None:
        """Append the event and go on with the instance; None if it is to be appended without."""
        life = None if self._lives is None else self._lives.serving
        return None if life is None else life.shortcuts.append(asked)

    def _ask(self, instance_id: str, query: Query) -> asyncio.Future[Reply] | None:
        """Ask the execution that is in memory here; None if there is none."""
        life = None if self._lives is None else self._lives.serving
        return None if life is None else life.ask(instance_id, query)

    def _places(self, instance_id: str) -> Sequence[Place]:
        """Where the execution is that is in memory here; nowhere if there is none."""
        life = None if self._lives is None else self._lives.serving
        return () if life is None else life.answering.places(instance_id)

    async def _run_on(self) -> None:
        with frozen_heap():
            await self._wait_for_end()

    def _entered_activities(self) -> AbstractAsyncContextManager[Mapping[str, Activity[..., Any]]]:
        """All that it can run, by name, until the worker ends."""
        return entered_lifespan(self._app)

    async def _wait_for_end(self) -> None:
        task = self._task
        if task is None:
            return
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            self._stop.hurry()
            await asyncio.wait((task,))
            raise
        task.result()

    async def _work(self, started: asyncio.Future[None]) -> None:
        async with AsyncExitStack() as stack:
            if self._is_store_ours:
                await self._backend.open()
                stack.push_async_callback(self._backend.close)
            activities = await stack.enter_async_context(self._entered_activities())
            stack.enter_context(patient_collector())
            threads = Threads(self.options.activity_threads, f"perdure-activity-{self.name}")
            stack.callback(threads.close)
            has = Possessions(
                backend=self._backend,
                app=self._app,
                activities=activities,
                options=self.options,
                clock=self._clock,
                loggers=self.loggers,
                slots=Slots(self.options.max_activities),
                threads=threads,
                context=contextvars.copy_context(),
                stop=self._stop,
                aside=self._aside,
                watcher=None if self._app.telemetry is None else self._app.telemetry.watch_worker(),
            )
            self._check_has_work(has)
            self._lives = Lives(has, lambda: None if started.done() else started.set_result(None))
            await self._lives.run()

    def _check_has_work(self, has: Possessions) -> None:
        works = (has.options.workflow_queues and has.app.workflows) or (has.options.activity_queues and has.activities)
        if not works:
            raise ConfigurationError(
                "the worker would do nothing: the App has nothing for the kinds of queues that it serves"
            )
