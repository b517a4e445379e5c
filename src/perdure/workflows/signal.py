"""Signals: typed messages to a running instance."""

from __future__ import annotations

from types import NoneType
from typing import Any, Generic, TypeVar, overload

from perdure.model.names import check_name

T = TypeVar("T")


class Signal(Generic[T]):
    """A signal's name and the type of what it carries: `approval = Signal("approval", Approval)`.

    `None` as the type is a signal without a value. A union is no class to type checkers, so annotate the signal then:
    `answer: Signal[int | str] = Signal("answer", int | str)`. Calling a signal binds a value, for
    `with_options(start_signal=…)`.
    """

    __slots__ = ("name", "type")

    @overload
    def __init__(self: Signal[None], name: str, type: None = None) -> None: ...
    @overload
    def __init__(self, name: str, type: type[T]) -> None: ...
    @overload
    def __init__(self, name: str, type: Any) -> None: ...
    def __init__(self, name: str, type: Any = None) -> None:  # noqa: A002 - it reads as what it is
        self.name: str = check_name(name, "a signal's name")
        self.type: Any = NoneType if type is None else type

    def __call__(self, value: T) -> BoundSignal:
        """The signal with this value."""
        return BoundSignal(self, value)

    def __repr__(self) -> str:
        return f"Signal({self.name!r}, {getattr(self.type, '__qualname__', self.type)})"


class BoundSignal:
    """A signal and its value."""

    __slots__ = ("signal", "value")

    def __init__(self, signal: Signal[Any], value: Any) -> None:
        self.signal: Signal[Any] = signal
        self.value: Any = value
