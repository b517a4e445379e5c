"""Activities and workflows with mocks in their places: the engine and the worker see nothing of it."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from perdure.activities.context import activity_context
from perdure.activities.definition import Activity
from perdure.app import App
from perdure.clock import Micros
from perdure.errors import PermanentError
from perdure.model.retry import RetryPolicy
from perdure.testing.tester.errors import UnexpectedCall
from perdure.testing.tester.mocks import Mocks, Taken
from perdure.worker.lifespan import entered_lifespan
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow

_PLAY = "perdure.testing.play"
"""The activity that carries out what a mocked sub-workflow does: so it happens once, and may take its time."""

_LEFT_OUT = object()
_ANY_ARGUMENTS = [
    inspect.Parameter(f"argument_{place}", inspect.Parameter.POSITIONAL_ONLY, default=_LEFT_OUT) for place in range(30)
]
"""Of what is known by its name alone: a stored call has a value for each parameter, and may be shorter than this."""

Park = Callable[[int, Micros], Awaitable[None]]


class StandIns:
    """For one App and the mocks of one tester."""

    def __init__(self, app: App, *, uses_lifespan: bool) -> None:
        self.activities = Mocks("activity")
        self.sub_workflows = Mocks("sub-workflow")
        self._uses_lifespan = uses_lifespan
        self._played: dict[str, _Played] = {}
        self._app = app
        self.park: Park
        """Waits on the tester's clock; set by it."""

    def app(self) -> App:
        """The App, with what stands in for its workflows."""
        mocked = {
            name: _as_workflow(name, self._app.workflows.get(name), functools.partial(self._play_sub_workflow, name))
            for name in self.sub_workflows
        }
        app = copy.copy(self._app)
        app.workflows = {**self._app.workflows, **mocked}
        if not self._uses_lifespan:
            app.lifespan = None
        return app

    @asynccontextmanager
    async def entered_activities(self, app: App) -> AsyncGenerator[Mapping[str, Activity[..., Any]], None]:
        """The App's and those of its lifespan, with what stands in for them."""
        async with entered_lifespan(app) as named:
            mocked = {
                name: _as_activity(name, named.get(name), functools.partial(self._play_activity, name))
                for name in self.activities
            }
            yield {**named, **mocked, _PLAY: Activity(self._play, name=_PLAY)}

    def check(self) -> None:
        """Raises UnexpectedCall."""
        self.activities.check_calls()
        self.sub_workflows.check_calls()

    # --- what the mocks do

    async def _play_activity(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        context = activity_context()
        key = (context._task.activity_key, context.attempt)
        taken = _permanently(lambda: self.activities.take(name, (args, kwargs), context.instance_id, key))
        return await self._act(taken, args, kwargs)

    async def _play_sub_workflow(
        self, name: str, ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        key = ctx.info.execution_id
        played = self._played.setdefault(key, _Played(name, args, kwargs))
        await ctx.execute_activity(_play_of(self._play), key)
        if played.error is not None:
            raise played.error
        return played.result

    async def _play(self, key: str) -> None:
        played = self._played[key]
        try:
            instance_id = activity_context().instance_id
            taken = self.sub_workflows.take(played.name, (played.args, played.kwargs), instance_id, key)
            played.result = await self._act(taken, played.args, played.kwargs)
        except Exception as error:
            played.error = error

    async def _act(self, taken: Taken, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if taken.mock.delay:
            await self.park(activity_context()._task.activity_key, taken.mock.delay)
        return await taken.mock.act(args, kwargs, taken.result)


class _Played:
    """A call of a mocked sub-workflow, and how it ended."""

    def __init__(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.name = name
        self.args = args
        self.kwargs = kwargs
        self.result: Any = None
        self.error: Exception | None = None


def _play_of(play: Callable[[str], Awaitable[None]]) -> Activity[..., Any]:
    return Activity(play, name=_PLAY).with_options(retry=RetryPolicy(max_attempts=1))


def _permanently(take: Callable[[], Taken]) -> Taken:
    """No attempt after this one would find a mock either."""
    try:
        return take()
    except UnexpectedCall as problem:
        raise PermanentError(str(problem)) from problem


def _as_activity(
    name: str, real: Activity[..., Any] | None, play: Callable[[tuple[Any, ...], Mapping[str, Any]], Awaitable[Any]]
) -> Activity[..., Any]:
    if real is None:
        return Activity(_without_signature(play), name=name)

    @functools.wraps(real.function)
    async def mocked(*args: Any, **kwargs: Any) -> Any:
        return await play(args[real.skip :], kwargs)

    made: Activity[..., Any] = Activity(
        mocked, name=name, options=real.options, receiver=real.receiver or mocked, skip=real.skip
    )
    made.is_async = True
    return made


def _as_workflow(
    name: str,
    real: Workflow[..., Any] | None,
    play: Callable[[Context, tuple[Any, ...], Mapping[str, Any]], Awaitable[Any]],
) -> Workflow[..., Any]:
    async def mocked(ctx: Context, *args: Any, **kwargs: Any) -> Any:
        return await play(ctx, tuple(arg for arg in args if arg is not _LEFT_OUT), kwargs)

    if real is not None:
        return Workflow(functools.wraps(real.function)(mocked), name=name, options=real.options)
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_ONLY)
    mocked.__signature__ = inspect.Signature([context, *_ANY_ARGUMENTS])  # type: ignore[attr-defined]
    return Workflow(mocked, name=name)


def _without_signature(
    play: Callable[[tuple[Any, ...], Mapping[str, Any]], Awaitable[Any]],
) -> Callable[..., Awaitable[Any]]:
    async def mocked(*args: Any) -> Any:
        return await play(tuple(arg for arg in args if arg is not _LEFT_OUT), {})

    mocked.__signature__ = inspect.Signature(_ANY_ARGUMENTS)  # type: ignore[attr-defined]
    return mocked
