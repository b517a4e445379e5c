"""A `WorkflowTester` in which something goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import TracebackType
from typing import Any

from perdure.activities.context import activity_context
from perdure.activities.definition import Activity
from perdure.app import App
from perdure.backends.memory.tables import Tables
from perdure.clock import Clock, take_chance_from
from perdure.errors import InstanceError
from perdure.orchestrator import WorkerSettings
from perdure.serialization.saved import SavedHistory
from perdure.testing.crash.replaying import histories_of, is_left_waiting, problem_of_replay
from perdure.testing.crash.run import Ended, Run
from perdure.testing.crash.trouble import Kind
from perdure.testing.crash.wire import Gate, Wire
from perdure.testing.tester.errors import WorkflowBlocked
from perdure.testing.tester.tester import WorkflowTester, _TesterWorker
from perdure.worker.guard import Use
from perdure.worker.worker import Worker


class TroubledTester(WorkflowTester):
    """For one run. What was seen stands in the run when the tester's block is left."""

    def __init__(self, app: App, run: Run, **options: Any) -> None:
        self._run = run
        run.app = run.app or app
        self._end_chance = take_chance_from(run.chance)
        self._gate: Gate | None = None
        self._wires: list[Wire] = []
        self._funeral: asyncio.Task[None] | None = None
        if run.trouble.kind is Kind.EVICT:
            options["cache_size"] = 0
        super().__init__(app, **options)

    def _make_worker(self, app: App, clock: Clock | None, settings: WorkerSettings) -> Worker:
        if self._run.trouble.kind is Kind.SHUFFLE:
            self._gate = Gate(self._run.dice, self._watched.changed.set)
            self._driver.release = self._gate.release
        self._begin_again: Callable[[], Worker] = lambda: self._wired_worker(app, clock, settings)
        return self._begin_again()

    def _wired_worker(self, app: App, clock: Clock | None, settings: WorkerSettings) -> Worker:
        wire = Wire(self._watched, self._run, self._gate, crashed=self._crashed, cancel_all=self._cancel_all)
        worker = _TroubledWorker(wire, app, clock=clock, **settings)
        worker.stand_ins = self._stand_ins
        worker.trouble = self._run
        worker.gate = self._gate
        self._wires.append(wire)
        return worker

    def _found(self, use: Use) -> None:
        self._run.findings.append(str(use))

    # --- a crash

    def _crashed(self) -> None:
        """Another worker begins where this one leaves off."""
        self._watched.is_between_workers = True
        dead, self._worker = self._worker, self._begin_again()
        self._funeral = asyncio.ensure_future(self._replace(dead))

    async def _replace(self, dead: Worker) -> None:
        try:
            if dead._lives is not None and dead._lives.serving is not None:
                dead._lives.serving._drop_all()
            if dead._task is not None:
                dead._task.cancel()
                await asyncio.wait((dead._task,))
            self._wires[0].lose_worker()
            await self._begin_worker()
        finally:
            self._watched.is_between_workers = False
            self._watched.changed.set()

    def _check(self) -> None:
        if self._funeral is not None and self._funeral.done():
            self._funeral.result()
        super()._check()

    def _check_worker(self) -> None:
        if not self._watched.is_between_workers:
            super()._check_worker()

    # --- a cancel

    def _cancel_all(self) -> None:
        self._driver.call(self._cancel_each)

    async def _cancel_each(self) -> None:
        for instance_id in self._watched.locked(_running_roots):
            with suppress(InstanceError):  # it has ended meanwhile
                await self.cancel(instance_id)

    # --- the end

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._run.is_cancelling:
                await self._let_all_end()
        finally:
            if self._gate is not None:
                self._gate.open()
            if self._funeral is not None:
                await self._funeral
            try:
                await super().__aexit__(kind, error, traceback)
            finally:
                self._end_chance()
                self._watched.locked(lambda tables, now: self._look_back(tables))

    async def _let_all_end(self) -> None:
        with suppress(WorkflowBlocked):
            await self._driver.move_until(lambda: not self._watched.locked(_running_roots) or None)

    def _look_back(self, tables: Tables) -> None:
        run, mocked = self._run, set(self._stand_ins.sub_workflows)
        app = self._app_of_tests
        for row in tables.instances.values():
            run.ended.append(Ended.of(row))
            if row.stuck_reason is not None:
                run.findings.append(f"{row.workflow} was stuck: {row.stuck_reason}")
        for history in histories_of(tables):
            if history.workflow not in app.workflows or history.workflow in mocked:
                continue
            if app is run.app:
                run.histories.append(history)
            run.calls.update(called_in(history))
            problem = problem_of_replay(app, history)
            if problem is not None:
                run.findings.append(problem)
            elif run.is_cancelling and is_left_waiting(app, history):
                run.findings.append(f"{history.workflow} was cancelled, and goes on: it swallowed the CancelledError")


class _TroubledWorker(_TesterWorker):
    """A worker whose attempts are counted."""

    trouble: Run
    gate: Gate | None

    def _entered_activities(self) -> AbstractAsyncContextManager[Mapping[str, Activity[..., Any]]]:
        return self._watched_activities()

    @asynccontextmanager
    async def _watched_activities(self) -> AsyncGenerator[Mapping[str, Activity[..., Any]], None]:
        async with super()._entered_activities() as named:
            yield {name: _Watched(activity, self.trouble, self.gate) for name, activity in named.items()}


class _Watched(Activity[..., Any]):
    """An activity whose calls are counted, and held back at a gate if there is one."""

    __slots__ = ("_gate", "_loop", "_run")

    def __init__(self, activity: Activity[..., Any], run: Run, gate: Gate | None) -> None:
        super().__init__(
            activity.function,
            name=activity.name,
            options=activity.options,
            receiver=activity.receiver,
            skip=activity.skip,
        )
        self.is_async = activity.is_async
        self._run = run
        self._gate = gate
        self._loop = asyncio.get_running_loop()

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.is_async:
            return self._called(super()._call, args, kwargs)
        self._wait_in_thread()
        self._run.note_start(self, activity_context()._task)
        try:
            return super()._call(args, kwargs)
        finally:
            self._wait_in_thread()

    async def _called(self, call: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._gate is not None:
            await self._gate.passed()
        self._run.note_start(self, activity_context()._task)
        try:
            return await call(args, kwargs)
        finally:
            if self._gate is not None:
                await self._gate.passed()

    def _wait_in_thread(self) -> None:
        if self._gate is not None:
            asyncio.run_coroutine_threadsafe(self._gate.passed(), self._loop).result()


def _running_roots(tables: Tables, now: int) -> list[str]:
    return [row.instance_id for row in tables.instances.values() if row.is_running and row.parent is None]


def called_in(history: SavedHistory) -> list[str]:
    """What the execution asked for, by name."""
    commands = (event for event in history.events if getattr(event, "number", None) is not None)
    return [
        f"{type(event).__name__} {getattr(event, 'name', '')}".strip()
        for event in commands
        if type(event).__name__.endswith(("Scheduled", "Set", "Sent"))
    ]
