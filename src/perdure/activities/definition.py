"""`@activity` and what it makes: a function with a name and options, typed by its parameters and its result.

The call itself stays free of options: they ride on a copy, `charge.with_options(queue="eu")`, so that a type checker sees
the activity's own arguments and nothing else.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, cast, overload

import msgspec

from perdure.errors import ConfigurationError, RegistrationError
from perdure.model.names import check_name
from perdure.model.options import ActivityOptions, Cancellation, Duration, IfExists
from perdure.model.retry import RetryPolicy

P = ParamSpec("P")
P2 = ParamSpec("P2")
R = TypeVar("R")
R2 = TypeVar("R2")
R_co = TypeVar("R_co", covariant=True)

Options = ActivityOptions


class Activity(Generic[P, R_co]):
    """An activity: `function` under a `name`, with options.

    Taken from a class (`Payments.charge`) or an object (`payments.charge`) it has no `self` any more: `skip` is then 1,
    and `receiver` is the object, if there is one.
    """

    __slots__ = ("__weakref__", "function", "is_async", "name", "options", "prepared", "receiver", "skip")

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        options: ActivityOptions = ActivityOptions(),  # noqa: B008 - frozen
        receiver: object = None,
        skip: int = 0,
    ) -> None:
        self.function: Callable[..., Any] = function
        self.name: str = check_name(definition_name(function) if name is None else name, "an activity's name")
        self.options: ActivityOptions = options
        self.receiver: object = receiver
        self.skip: int = skip
        self.is_async: bool = inspect.iscoroutinefunction(inspect.unwrap(function))
        self.prepared: Any = None
        """What the engine has derived from the function and the options."""

    def with_options(  # noqa: PLR0913 - each option has its type
        self,
        *,
        queue: str | None = None,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
        total_timeout: Duration | None = None,
        queue_timeout: Duration | None = None,
        heartbeat_timeout: Duration | None = None,
        priority: int | None = None,
        cancellation: Cancellation | str | None = None,
        instance_id: str | None = None,
        start_delay: Duration | None = None,
        tags: Mapping[str, str] | None = None,
        if_exists: IfExists | str | None = None,
        idempotency_key: str | None = None,
    ) -> Self:
        """A copy with these options in place of the old ones; what isn't given stays.

        Those from `instance_id` on are for `client.start_activity` and `client.run_activity` alone, and mean what they mean for
        a workflow.
        """
        options = changed_options(
            self.options,
            queue=queue,
            retry=retry,
            timeout=timeout,
            total_timeout=total_timeout,
            queue_timeout=queue_timeout,
            heartbeat_timeout=heartbeat_timeout,
            priority=priority,
            cancellation=cancellation,
            instance_id=instance_id,
            start_delay=start_delay,
            tags=tags,
            if_exists=if_exists,
            idempotency_key=idempotency_key,
        )
        return type(self)(self.function, name=self.name, options=options, receiver=self.receiver, skip=self.skip)

    def bind(self, receiver: object) -> Self:
        """The activity of this object."""
        return type(self)(self.function, name=self.name, options=self.options, receiver=receiver, skip=1)

    @overload
    def __get__(self: Activity[Concatenate[Any, P2], R2], instance: None, owner: type[Any]) -> Activity[P2, R2]: ...
    @overload
    def __get__(
        self: Activity[Concatenate[Any, P2], R2], instance: object, owner: type[Any] | None = None
    ) -> Activity[P2, R2]: ...
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        return self.bind(instance)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.skip and self.receiver is not None:
            return self.function(self.receiver, *args, **kwargs)
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<activity {self.name}>"


class AsyncActivity(Activity[P, R_co]):
    """An activity whose function is `async`. Calling it outside a workflow just calls the function."""

    __slots__ = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R_co]:
        return cast("Coroutine[Any, Any, R_co]", self._call(args, kwargs))

    @overload
    def __get__(
        self: AsyncActivity[Concatenate[Any, P2], R2], instance: None, owner: type[Any]
    ) -> AsyncActivity[P2, R2]: ...
    @overload
    def __get__(
        self: AsyncActivity[Concatenate[Any, P2], R2], instance: object, owner: type[Any] | None = None
    ) -> AsyncActivity[P2, R2]: ...
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        return self.bind(instance)


class SyncActivity(Activity[P, R_co]):
    """An activity whose function is a plain one: workers run it in a thread."""

    __slots__ = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        return cast("R_co", self._call(args, kwargs))

    @overload
    def __get__(
        self: SyncActivity[Concatenate[Any, P2], R2], instance: None, owner: type[Any]
    ) -> SyncActivity[P2, R2]: ...
    @overload
    def __get__(
        self: SyncActivity[Concatenate[Any, P2], R2], instance: object, owner: type[Any] | None = None
    ) -> SyncActivity[P2, R2]: ...
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        return self.bind(instance)


class ActivityDecorator(Protocol):
    """What `@activity(...)` with options gives."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncActivity[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[P, R], /) -> SyncActivity[P, R]: ...


@overload
def activity(function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncActivity[P, R]: ...  # type: ignore[overload-overlap]
@overload
def activity(function: Callable[P, R], /) -> SyncActivity[P, R]: ...
@overload
def activity(
    *,
    name: str | None = None,
    queue: str | None = None,
    retry: RetryPolicy | None = None,
    timeout: Duration | None = None,
    total_timeout: Duration | None = None,
    queue_timeout: Duration | None = None,
    heartbeat_timeout: Duration | None = None,
    priority: int | None = None,
    cancellation: Cancellation | str | None = None,
    idempotent: bool = False,
) -> ActivityDecorator: ...
def activity(function: Callable[..., Any] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a function an activity: a step that runs at least once, whose result is recorded exactly once.

    Without options it can stand bare: `@activity`. `name` defaults to the qualified name. `timeout` bounds one attempt,
    `total_timeout` all of them with the waits between, `queue_timeout` the wait for a worker, `heartbeat_timeout` the
    time between two heartbeats; none of them by default. `retry` defaults to three attempts. `queue` and `priority`
    default to the workflow's. `cancellation` says what an instance's cancel does to a running attempt. `idempotent` declares
    that doing it twice is harmless, for `perdure.testing.crash_anywhere`.
    """
    if function is not None:
        return _define(function, name, ActivityOptions())
    chosen = changed_options(ActivityOptions(), **options)
    return lambda function: _define(function, name, chosen)


def _define(function: Any, name: str | None, options: ActivityOptions) -> Activity[..., Any]:
    if not callable(function) or isinstance(function, type):
        raise RegistrationError(f"{function!r} can't be an activity: decorate a function or a method")
    kind = AsyncActivity if inspect.iscoroutinefunction(inspect.unwrap(function)) else SyncActivity
    return kind(function, name=name, options=options)


def definition_name(function: Callable[..., Any]) -> str:
    """The qualified name of a function, from what follows `<locals>.`."""
    name = getattr(function, "__qualname__", None)
    if not isinstance(name, str):
        raise RegistrationError(f"{function!r} has no __qualname__: give it a name, as in activity(name=…)")
    return name.rpartition("<locals>.")[2]


_undecorated: weakref.WeakKeyDictionary[Any, Activity[..., Any]] = weakref.WeakKeyDictionary()


def activity_of(target: object) -> Activity[..., Any]:
    """The activity that a call names: itself, or one with default options for a plain function or bound method."""
    if isinstance(target, Activity):
        return target
    if inspect.ismethod(target):
        return _plain(target.__func__).bind(target.__self__)
    if callable(target) and not isinstance(target, type):
        return _plain(target)
    raise RegistrationError(f"{target!r} isn't an activity: pass the function, a bound method, or what @activity made")


def _plain(function: Callable[..., Any]) -> Activity[..., Any]:
    found = _undecorated.get(function)
    if found is None:
        found = _undecorated[function] = _define(function, None, ActivityOptions())
    return found


def changed_options(options: ActivityOptions, **changes: Any) -> ActivityOptions:
    """`options` with the changes that aren't None, checked."""
    given = {name: value for name, value in changes.items() if value is not None}
    if "cancellation" in given:
        given["cancellation"] = Cancellation(given["cancellation"])
    if "if_exists" in given:
        given["if_exists"] = IfExists(given["if_exists"])
    if "queue" in given:
        check_name(given["queue"], "a queue's name")
    for name in ("timeout", "total_timeout", "queue_timeout", "heartbeat_timeout"):
        if name in given and not given[name] > type(given[name])(0):
            raise ConfigurationError(
                f"{name} is {given[name]}: it must be longer than nothing; leave it out for no limit"
            )
    try:
        return msgspec.structs.replace(options, **given)
    except TypeError as problem:
        raise ConfigurationError(str(problem)) from None
