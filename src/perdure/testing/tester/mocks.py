"""What stands in for activities and sub-workflows: which calls it takes, what it does, and how often it may be called."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Generic, Self, TypeVar, cast

import msgspec

from perdure.clock import Micros, duration_micros
from perdure.testing.tester.errors import UnexpectedCall, UnmetExpectation

R = TypeVar("R")

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]


class Call(msgspec.Struct, frozen=True):
    """One call of a mock."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    instance_id: str
    """The instance that called the activity; of a sub-workflow, its own id."""


class Mock(Generic[R]):
    """Takes calls whose arguments equal its own (`unittest.mock.ANY` equals everything); without arguments, all calls.

    By itself it returns None. What it is told last holds: `returns`, `raises` or `calls`.
    """

    def __init__(self, kind: str, name: str, expected: Arguments | None, bind: Callable[[Arguments], Any]) -> None:
        self._kind = kind
        self._name = name
        self._bind = bind
        self._expected = None if expected is None else bind(expected)
        self._results: Iterator[Any] | None = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._function: Callable[..., Any] | None = None
        self._most: int | None = None
        self._least = 0
        self.delay: Micros = 0
        self.called: list[Call] = []
        """All calls that it took, in order; of an activity each attempt is one."""

    # --- what it does

    def returns(self, *values: R) -> Self:
        """Give this value; of several one after the other, then the last one again and again."""
        self._function, self._error = None, None
        self._results = iter(values[:-1])
        self._result = values[-1] if values else None
        return self

    def raises(self, error: BaseException) -> Self:
        """Raise this. An activity is tried again as its retry policy says."""
        self._function, self._error = None, error
        return self

    def calls(self, function: Callable[..., Awaitable[R] | R]) -> Self:
        """Give what `function`, async or not, returns for the same arguments, or raise what it raises."""
        self._function, self._error = function, None
        return self

    def after(self, delay: timedelta) -> Self:
        """Take so long, on the tester's clock, before doing that."""
        self.delay = duration_micros(delay)
        return self

    # --- how often

    def once(self) -> Self:
        """It takes exactly one call."""
        return self.times(1)

    def times(self, number: int) -> Self:
        """It takes exactly so many calls: the next one goes to the mock declared after it."""
        self._least = self._most = number
        return self

    def at_least_once(self) -> Self:
        self._least = 1
        return self

    def never(self) -> Self:
        """A call fails the test."""
        return self.times(0)

    # --- for the tester

    @property
    def is_used_up(self) -> bool:
        return self._most is not None and len(self.called) >= self._most

    def fits(self, arguments: Arguments) -> bool:
        return self._expected is None or bool(self._bind(arguments) == self._expected)

    def missing(self) -> str | None:
        """What has not been called often enough."""
        if len(self.called) >= self._least:
            return None
        return f"{self}: expected {self._least} calls, got {len(self.called)}"

    def next_result(self) -> Any:
        """What it returns this time, if it returns something."""
        return self._result if self._results is None else next(self._results, self._result)

    async def act(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> R:
        if self._error is not None:
            raise self._error
        if self._function is not None:
            result = self._function(*args, **kwargs)
            result = await result if inspect.isawaitable(result) else result
        return cast("R", result)

    def __str__(self) -> str:
        shown = "…" if self._expected is None else _shown(self._expected)
        return f"{self._kind} {self._name}({shown})"


class Taken(msgspec.Struct, frozen=True):
    """A call that a mock has taken, and what it returns for it."""

    mock: Mock[Any]
    result: Any


class Mocks:
    """Those of a tester, by name, in the order in which they were declared."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._mocks: dict[str, list[Mock[Any]]] = {}
        self._taken: dict[object, Taken] = {}
        self.problem: UnexpectedCall | None = None
        """A call that nobody expected: it fails the test, whatever becomes of the workflow."""

    def __contains__(self, name: str) -> bool:
        return name in self._mocks

    def __iter__(self) -> Iterator[str]:
        return iter(self._mocks)

    def add(self, name: str, function: Callable[..., Any] | None, skip: int, expected: Arguments | None) -> Mock[Any]:
        mock: Mock[Any] = Mock(self._kind, name, expected, _binder(function, skip))
        self._mocks.setdefault(name, []).append(mock)
        return mock

    def take(self, name: str, arguments: Arguments, instance_id: str, key: object) -> Taken:
        """The first mock that takes the call, which notes it. Raises UnexpectedCall.

        A call of the same `key` is the same call again, after a crash: it gets the same answer, and doesn't count.
        """
        if key in self._taken:
            return self._taken[key]
        for mock in self._mocks[name]:
            if not mock.is_used_up and mock.fits(arguments):
                mock.called.append(Call(*arguments, instance_id))
                taken = self._taken[key] = Taken(mock, mock.next_result())
                return taken
        declared = "".join(f"\n  {mock}{', used up' if mock.is_used_up else ''}" for mock in self._mocks[name])
        self.problem = UnexpectedCall(
            f"{self._kind} {name} was called by {instance_id!r} with ({_shown(arguments)}), which none of its mocks "
            f"takes:{declared}"
        )
        raise self.problem

    def check_calls(self) -> None:
        """Raises UnexpectedCall, once."""
        problem, self.problem = self.problem, None
        if problem is not None:
            raise problem

    def check(self) -> None:
        """Raises UnmetExpectation that names all which were called too seldom."""
        missing = [text for mocks in self._mocks.values() for mock in mocks if (text := mock.missing()) is not None]
        if missing:
            raise UnmetExpectation("\n".join(missing))


def _binder(function: Callable[..., Any] | None, skip: int) -> Callable[[Arguments], Arguments]:
    """Arguments in one form, whether they were given by position or by name, or have their defaults."""
    if function is None:
        return lambda arguments: arguments
    signature = inspect.signature(function)
    signature = signature.replace(parameters=list(signature.parameters.values())[skip:])

    def bound(arguments: Arguments) -> Arguments:
        args, kwargs = arguments
        try:
            found = signature.bind(*args, **kwargs)
        except TypeError:
            return arguments
        found.apply_defaults()
        return found.args, found.kwargs

    return bound


def _shown(arguments: Arguments) -> str:
    args, kwargs = arguments
    return ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
