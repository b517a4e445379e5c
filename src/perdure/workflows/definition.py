"""`@workflow` and what it makes: an `async def` with a name and options, typed by its parameters and its result."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, Protocol, Self, TypeVar, cast, overload

import msgspec

from perdure.activities.definition import Activity, definition_name
from perdure.errors import ConfigurationError, RegistrationError
from perdure.model.names import check_name
from perdure.model.options import Duration, IfExists, ParentClose, Retention, WorkflowOptions
from perdure.model.retention import as_retention
from perdure.model.retry import RetryPolicy

if TYPE_CHECKING:
    from perdure.workflows.context import Context
    from perdure.workflows.signal import BoundSignal

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Determinism = Literal["strict", "lenient"]


class Workflow(Generic[P, R_co]):
    """A workflow: an `async def f(ctx, …)` under a name, with options for its starts."""

    __slots__ = ("__weakref__", "determinism", "function", "name", "options", "start_signals")

    def __init__(
        self,
        function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R_co]],
        *,
        name: str | None = None,
        options: WorkflowOptions = WorkflowOptions(),  # noqa: B008 - frozen
        determinism: Determinism = "strict",
        start_signals: tuple[BoundSignal, ...] = (),
    ) -> None:
        self.function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R_co]] = function
        self.name: str = check_name(definition_name(function) if name is None else name, "a workflow's name")
        self.options: WorkflowOptions = options
        self.determinism: Determinism = determinism
        self.start_signals: tuple[BoundSignal, ...] = start_signals

    def __call__(self, ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        """Run the function in line, as a part of the workflow that calls it."""
        return self.function(ctx, *args, **kwargs)

    def with_options(  # noqa: PLR0913 - each option has its type
        self,
        *,
        instance_id: str | None = None,
        queue: str | None = None,
        priority: int | None = None,
        timeout: Duration | None = None,
        start_delay: Duration | None = None,
        tags: Mapping[str, str] | None = None,
        if_exists: IfExists | str | None = None,
        idempotency_key: str | None = None,
        retry: RetryPolicy | None = None,
        parent_close: ParentClose | str | None = None,
        retention: Retention | Duration | None = None,
        start_signal: BoundSignal | None = None,
    ) -> Self:
        """A copy with these options in place of the old ones; what isn't given stays.

        `instance_id` is drawn if there is none. `timeout` is a deadline for the whole instance, continue-as-new
        included; past it the instance is FAILED with DeadlineExceeded. `start_signal` (`approval(value)`) stands
        before any other signal; several calls add up. `retry` and `parent_close` concern sub-workflows alone. `retention`
        is how long the instance is kept after its end: as the App says, or for ever.
        """
        options = _changed(
            self.options,
            instance_id=instance_id,
            queue=queue,
            priority=priority,
            timeout=timeout,
            start_delay=start_delay,
            tags=tags,
            if_exists=if_exists,
            idempotency_key=idempotency_key,
            retry=retry,
            parent_close=parent_close,
            retention=retention,
        )
        signals = self.start_signals if start_signal is None else (*self.start_signals, start_signal)
        return type(self)(
            self.function, name=self.name, options=options, determinism=self.determinism, start_signals=signals
        )

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"


class WorkflowDecorator(Protocol):
    """What `@workflow(...)` with options gives."""

    def __call__(self, function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...


@overload
def workflow(function: Callable[Concatenate[Context, P], Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
@overload
def workflow(
    *,
    name: str | None = None,
    queue: str | None = None,
    priority: int | None = None,
    timeout: Duration | None = None,
    retry: RetryPolicy | None = None,
    parent_close: ParentClose | str | None = None,
    retention: Retention | Duration | None = None,
    determinism: Determinism = "strict",
) -> WorkflowDecorator: ...
def workflow(
    function: Any = None, /, *, name: str | None = None, determinism: Determinism = "strict", **options: Any
) -> Any:
    """Make an `async def f(ctx: Context, …)` a workflow.

    Without options it can stand bare: `@workflow`. `name` defaults to the qualified name. With `determinism="lenient"`
    replay doesn't compare the inputs of activities and sub-workflows with those in history.
    """
    chosen = _changed(WorkflowOptions(), **options)
    if determinism not in ("strict", "lenient"):
        raise ConfigurationError(f"determinism is {determinism!r}: use 'strict' or 'lenient'")

    def define(function: Any) -> Workflow[..., Any]:
        problems = definition_problems(function)
        if problems:
            raise RegistrationError(f"{function!r} can't be a workflow: {'; '.join(problems)}")
        return Workflow(function, name=name, options=chosen, determinism=determinism)

    return define if function is None else define(function)


def definition_problems(function: object) -> list[str]:
    """Every reason why this can't be a workflow."""
    if isinstance(function, Activity):
        return ["it is an activity: call it from a workflow, with ctx.execute_activity"]
    if not callable(function) or isinstance(function, type):
        return ["it isn't a function"]
    problems: list[str] = []
    if not inspect.iscoroutinefunction(inspect.unwrap(function)):
        problems.append("it isn't an `async def`")
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        problems.append("its first parameter must be the Context")
    return problems


_undecorated: weakref.WeakKeyDictionary[Any, Workflow[..., Any]] = weakref.WeakKeyDictionary()


def workflow_of(target: object) -> Workflow[..., Any]:
    """The workflow that a call names: itself, or one with default options for a plain function."""
    if isinstance(target, Workflow):
        return cast("Workflow[..., Any]", target)
    if not callable(target):
        raise RegistrationError(f"{target!r} isn't a workflow: pass the function, or what @workflow made")
    found = _undecorated.get(target)
    if found is None:
        found = _undecorated[target] = workflow(cast("Any", target))
    return found


def _changed(options: WorkflowOptions, **changes: Any) -> WorkflowOptions:
    given = {name: value for name, value in changes.items() if value is not None}
    for name, value in given.items():
        checked = _CHECKED.get(name)
        if checked is not None:
            given[name] = checked(value)
    try:
        return msgspec.structs.replace(options, **given)
    except TypeError as problem:
        raise ConfigurationError(str(problem)) from None


def _checked_timeout(timeout: Any) -> Any:
    if not timeout > type(timeout)(0):
        raise ConfigurationError(f"timeout is {timeout}: it must be longer than nothing")
    return timeout


def _checked_tags(tags: Any) -> Any:
    for name, value in tags.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"tag {name!r} is {value!r}: names and values of tags are strings")
        check_name(name, "a tag's name")
    return tags


_CHECKED: Mapping[str, Callable[[Any], Any]] = {
    "instance_id": lambda value: check_name(value, "an instance id"),
    "queue": lambda value: check_name(value, "a queue's name"),
    "idempotency_key": lambda value: check_name(value, "a key"),
    "if_exists": IfExists,
    "parent_close": ParentClose,
    "timeout": _checked_timeout,
    "retention": as_retention,
    "tags": _checked_tags,
}
