"""`WorkflowTester`: the engine and the worker of production, on a memory store and a clock that doesn't wait."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import warnings
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, Unpack, overload

from perdure.activities.definition import activity_of
from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.memory.closing import outcome_of
from perdure.backends.memory.reading import find
from perdure.client.asking import Call
from perdure.clock import Clock, SystemClock, duration_micros, to_datetime, to_micros
from perdure.errors import ConfigurationError
from perdure.model.instance import Outcome
from perdure.model.options import Duration
from perdure.model.transition import Created, CreateInstance, Existing
from perdure.orchestrator import Orchestrator, WorkerSettings
from perdure.testing.tester.clock import VirtualClock
from perdure.testing.tester.driver import Callback, Driver
from perdure.testing.tester.errors import NonDeterministicCall, WorkflowBlocked
from perdure.testing.tester.mocks import Mock
from perdure.testing.tester.standing_in import StandIns
from perdure.testing.tester.store import Look, WatchedStore
from perdure.worker.guard import Use
from perdure.worker.worker import Worker
from perdure.workflows.definition import Workflow, workflow_of

P = ParamSpec("P")
R = TypeVar("R")

_LEASE = timedelta(days=200 * 365)  # the clock goes months ahead while the worker's heartbeats take real time
_LONGEST = timedelta(days=100 * 365)
_MOST_SHOWN = 10
_LOOKS = 3
_LOOK_SECONDS = 0.3
"""Of real time, in which a client looks whether the answer that it waits for had been given before."""


class _TesterWorker(Worker):
    """A worker among whose activities mocks stand."""

    stand_ins: StandIns

    async def __aenter__(self) -> Self:
        self._app = self.stand_ins.app()
        return await super().__aenter__()

    def _entered_activities(self) -> AbstractAsyncContextManager[Any]:
        return self.stand_ins.entered_activities(self._app)


class WorkflowTester(Orchestrator):
    """An `Orchestrator` for tests: start, signal, query, cancel, look, as in production, while months pass in milliseconds.

    Its clock moves only while the test awaits the tester (a result, an update's answer, `advance`, `settle`), and only when
    nothing is under way: no workflow runs, no activity does. Then it goes to the next instant at which something is due.
    `initial_time` is where it begins (now, by default), `time_limit` how far it goes before the test fails (10 years).

    `on_activity` and `on_sub_workflow` put mocks in the places of real ones, before the first workflow is started. What
    isn't mocked runs for real, in real time. With `lifespan=False` the App's lifespan isn't entered; its activities are mocked then.
    Workflow code that reads a clock or the like is warned of (`guard="raise"` or "off" are the other ways).
    A test that waits for what won't happen fails with WorkflowBlocked, which says where each workflow hangs.
    Leaving the block checks the expectations of all mocks.
    """

    def __init__(
        self,
        app: App,
        *,
        initial_time: datetime | None = None,
        time_limit: timedelta = timedelta(days=10 * 365),
        lifespan: bool = True,
        **settings: Unpack[WorkerSettings],
    ) -> None:
        start = SystemClock().now() if initial_time is None else to_micros(initial_time)
        if not timedelta(0) < time_limit <= _LONGEST:
            raise ConfigurationError(
                f"time_limit is {time_limit}: it must be longer than nothing and at most 100 years"
            )
        self._virtual = VirtualClock(start)
        self._watched = WatchedStore(self._virtual)
        self._stand_ins = StandIns(app, uses_lifespan=lifespan)
        self.was_entered = False
        self._entered_in = contextvars.copy_context()
        self._has_begun = False
        self._listeners: list[Callable[[str], Any]] = []
        self._driver = Driver(
            self._virtual,
            self._watched,
            last_at=start + duration_micros(time_limit),
            keep_house=self._keep_house,
            check=self._check,
            explain=self._explain,
            saw_sub_workflow=self._tell_of_sub_workflow,
        )
        self._stand_ins.park = self._driver.park
        self._heard = _Heard()
        settings.setdefault("lease", _LEASE)
        settings.setdefault("guard", "warn")
        settings.setdefault("name", "tester")
        super().__init__(MemoryBackend(self._watched), app, clock=self._virtual, **settings)

    def _make_worker(self, app: App, clock: Clock | None, settings: WorkerSettings) -> Worker:
        worker = _TesterWorker(self._store, app, clock=clock, **settings)
        worker.stand_ins = self._stand_ins
        return worker

    # --- time

    @property
    def now(self) -> datetime:
        """What the clock shows, in UTC."""
        return to_datetime(self._virtual.now())

    async def advance(self, duration: Duration) -> None:
        """Let so much time pass, and all happen that is due in it. Raises what failed the test."""
        await self._begin()
        await self._driver.move_until(_nothing, self._virtual.now() + duration_micros(duration))

    async def advance_to(self, at: datetime) -> None:
        """Let time pass until then; an instant that is over is no error."""
        await self._begin()
        await self._driver.move_until(_nothing, max(self._virtual.now(), to_micros(at)))

    async def settle(self) -> None:
        """Let all happen that is due now; no time passes."""
        await self.advance(0)

    def at(self, when: datetime | timedelta, callback: Callback) -> None:
        """Call `callback`, async or not, when the clock has come there, or on by so much. What it raises fails the test."""
        at = to_micros(when) if isinstance(when, datetime) else self._virtual.now() + duration_micros(when)
        self._driver.at(at, callback)

    # --- mocks

    @overload
    def on_activity(self, activity: str, *args: Any, **kwargs: Any) -> Mock[Any]: ...
    @overload
    def on_activity(self, activity: Callable[..., Coroutine[Any, Any, R]], *args: Any, **kwargs: Any) -> Mock[R]: ...
    @overload
    def on_activity(self, activity: Callable[..., R], *args: Any, **kwargs: Any) -> Mock[R]: ...
    def on_activity(self, activity: Any, *args: Any, **kwargs: Any) -> Mock[Any]:
        """A mock for calls of the activity with these arguments, or with any if there are none.

        `activity` is the function or its name. Several mocks of one activity are asked in the order of their declaration.
        A call that none of them takes fails the test with UnexpectedCall.
        """
        self._check_not_begun("on_activity")
        expected = (args, kwargs) if args or kwargs else None
        known = self._app_of_tests.activities.get(activity) if isinstance(activity, str) else activity_of(activity)
        if known is None:
            return self._stand_ins.activities.add(str(activity), None, 0, expected)
        return self._stand_ins.activities.add(known.name, known.function, known.skip, expected)

    @overload
    def on_sub_workflow(self, workflow: str, *args: Any, **kwargs: Any) -> Mock[Any]: ...
    @overload
    def on_sub_workflow(self, workflow: Workflow[P, R], *args: Any, **kwargs: Any) -> Mock[R]: ...
    @overload
    def on_sub_workflow(
        self, workflow: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], *args: Any, **kwargs: Any
    ) -> Mock[R]: ...
    def on_sub_workflow(self, workflow: Any, *args: Any, **kwargs: Any) -> Mock[Any]:
        """A mock for runs of the workflow with these arguments, as `on_activity`."""
        self._check_not_begun("on_sub_workflow")
        expected = (args, kwargs) if args or kwargs else None
        known = self._app_of_tests.workflows.get(workflow) if isinstance(workflow, str) else workflow_of(workflow)
        if known is None:
            return self._stand_ins.sub_workflows.add(str(workflow), None, 0, expected)
        return self._stand_ins.sub_workflows.add(known.name, known.function, 1, expected)

    def on_sub_workflow_started(self, callback: Callable[[str], Any]) -> None:
        """Call `callback`, async or not, with the instance id of each sub-workflow, before time goes on."""
        self._listeners.append(callback)

    def assert_expectations(self) -> None:
        """Raises UnmetExpectation if a mock wasn't called as often as it was told."""
        self._stand_ins.activities.check()
        self._stand_ins.sub_workflows.check()

    # --- as an Orchestrator

    async def __aenter__(self) -> Self:
        self.was_entered = True
        self._entered_in = contextvars.copy_context()
        await super(Orchestrator, self).__aenter__()
        self._worker.loggers.workflow.logger.addFilter(self._heard)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._driver.close()
            if self._has_begun:
                await self._worker.stop(at_once=True)
        finally:
            self._worker.loggers.workflow.logger.removeFilter(self._heard)
            await super(Orchestrator, self).__aexit__(kind, error, traceback)
        if error is None:
            self._check()
            self.assert_expectations()

    async def _create(self, asked: CreateInstance) -> Created | Existing:
        await self._begin()
        return await super()._create(asked)

    async def _query(self, instance_id: str, call: Call, seconds: float | None) -> Any:
        return await self._driven(super()._query(instance_id, call, seconds))

    async def _update(self, instance_id: str, call: Call, seconds: float | None, key: str | None) -> Any:
        return await self._driven(super()._update(instance_id, call, seconds, key))

    async def _driven(self, asking: Coroutine[Any, Any, R]) -> R:
        """Let time pass until there is an answer."""
        task = asyncio.ensure_future(asking)
        task.add_done_callback(lambda _: self._watched.changed.set())
        try:
            for looks_left in reversed(range(_LOOKS)):
                try:
                    await self._driver.move_until(lambda: task.done() or None)
                    break
                except WorkflowBlocked:
                    if not looks_left:
                        raise
                    await asyncio.wait((task,), timeout=_LOOK_SECONDS)
            return await task
        finally:
            task.cancel()

    async def _wait_for_outcome(self, instance_id: str, timeout: Duration | None) -> Outcome:  # noqa: ASYNC109 - as Client
        def look() -> Outcome | None:
            return self._watched.locked(lambda tables, now: outcome_of(find(tables, instance_id)))

        until = None if timeout is None else self._virtual.now() + duration_micros(timeout)
        outcome = await self._driver.move_until(look, until)
        if outcome is None:
            raise TimeoutError(f"instance {instance_id!r} is still running after {timeout}; it goes on")
        return outcome

    # --- inside

    @property
    def _app_of_tests(self) -> App:
        assert self._app is not None
        return self._app

    def _check_not_begun(self, what: str) -> None:
        if self._has_begun:
            raise ConfigurationError(f"{what} comes too late: declare mocks before the first workflow is started")

    async def _begin(self) -> None:
        """The worker begins with the first workflow: then all mocks are known."""
        if self._has_begun:
            return
        self._has_begun = True
        await self._begin_worker()

    async def _begin_worker(self) -> None:
        """Activities begin with the context variables that are set where the tester is entered, as in an Orchestrator."""
        await asyncio.get_running_loop().create_task(self._worker.__aenter__(), context=self._entered_in)

    async def _keep_house(self) -> None:
        await self.backend.housekeep()

    def _check(self) -> None:
        """Raise what has failed the test."""
        self._check_worker()
        self._stand_ins.check()
        uses, self._heard.uses = self._heard.uses, []
        for use in uses:
            self._found(use)
        unfinished, self._heard.unfinished = self._heard.unfinished, None
        if unfinished is not None:
            raise AssertionError(unfinished)

    def _found(self, use: Use) -> None:
        """The guard has seen something."""
        warnings.warn_explicit(str(use), NonDeterministicCall, use.file, use.line)

    def _tell_of_sub_workflow(self, instance_id: str) -> None:
        for callback in self._listeners:
            self._driver.call(lambda callback=callback: callback(instance_id))  # type: ignore[misc]

    def _explain(self, look: Look) -> str:
        """Where each instance hangs."""
        lines: list[str] = [f"The clock shows {self.now:%Y-%m-%d %H:%M:%S}."]
        for instance_id in look.running[:_MOST_SHOWN]:
            why = look.stuck.get(instance_id) or look.unserved.get(instance_id)
            lines.append(f"- {instance_id}" + ("" if why is None else f": {why}"))
            for place in self._worker._places(instance_id):
                name = "" if place.task == "main" else f"{place.task}: "
                lines += [f"    {line}" for line in f"{name}{place}".splitlines()]
        if len(look.running) > _MOST_SHOWN:
            lines.append(f"- and {len(look.running) - _MOST_SHOWN} more")
        if not look.running:
            lines.append("No workflow is running.")
        return "\n".join(lines)


class _Heard(logging.Filter):
    """Hears what the log says: of activities that a workflow left behind, of which its owner mostly knows nothing (W10), and of the guard."""

    def __init__(self) -> None:
        super().__init__()
        self.unfinished: str | None = None
        self.uses: list[Use] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "unfinished_activities", None):
            self.unfinished = record.getMessage()
        use: Use | None = getattr(record, "guarded_use", None)
        if use is not None:
            self.uses.append(use)
        return True


def _nothing() -> None:
    """Waits for nothing but the clock."""
