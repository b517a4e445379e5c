"""Values of the running code that go with what it starts: from a client to workflows, from there to activities and sub-workflows.

They travel as *headers*, short texts beside the arguments: recorded with each start and each activity, and no part of the input
that replay compares. Workflows and attempts begin in contextvars contexts of their own, empty but for what headers say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar, overload

from perdure.errors import ConfigurationError, DecodeError, EncodeError, InvalidName, PayloadTooLarge, RegistrationError
from perdure.model.names import check_name
from perdure.serialization.converters import Converters
from perdure.serialization.values import ValueSchema

T = TypeVar("T")

LIMIT_BYTES = 8 * 1024
"""Of all headers together, as web servers have it: they stand with every activity."""


class Propagator(Protocol):
    """Writes what is to be carried into headers, and reads it from there, as OpenTelemetry's propagators do.

    Both are called in workflow code too, and there once more in each replay: they must be quick, and know nothing but context
    variables and headers. Headers are stored as plain text, whatever codecs an App has: no secrets.
    """

    @property
    def fields(self) -> Collection[str]:
        """The names of the headers that it writes. No two propagators have one in common."""
        ...

    def inject(self) -> Mapping[str, str]:
        """The headers of what the running code starts now. What it raises, that call raises."""
        ...

    def extract(self, headers: Mapping[str, str]) -> None:
        """Set context variables, in the context of a workflow or attempt that begins; `headers` are all there are.

        If it raises, the instance is stuck until the code is mended, or the activity fails for good.
        """
        ...


class ContextVarPropagator:
    """Carries the value of a context variable, if it is set and not None, in a header of its own.

    `ContextVarPropagator(tenant)` for a `ContextVar[str]`, `ContextVarPropagator(user, User)` for other types: what can be an
    argument of an activity can be carried. The header is named like the variable, or `name`.
    """

    @overload
    def __init__(self, variable: ContextVar[str], *, name: str | None = None) -> None: ...
    @overload
    def __init__(self, variable: ContextVar[str | None], *, name: str | None = None) -> None: ...
    @overload
    def __init__(self, variable: ContextVar[T], type: type[T], *, name: str | None = None) -> None: ...
    def __init__(self, variable: ContextVar[Any], type: Any = str, *, name: str | None = None) -> None:  # noqa: A002 - it reads as what it is
        self._variable = variable
        self._name = check_name(variable.name if name is None else name, "a header's name")
        self._schema = None if type is str else ValueSchema(type, Converters())

    @property
    def fields(self) -> Collection[str]:
        return (self._name,)

    def inject(self) -> Mapping[str, str]:
        value = self._variable.get(None)  # not the variable's own default: who reads it has that, too
        if value is None:
            return {}
        return {self._name: value if self._schema is None else self._schema.encode(value).decode()}

    def extract(self, headers: Mapping[str, str]) -> None:
        text = headers.get(self._name)
        if text is None:
            return
        try:
            value = text if self._schema is None else self._schema.decode(text.encode())
        except DecodeError as problem:
            raise DecodeError(f"header {self._name!r}: {problem}") from problem
        self._variable.set(value)


class Propagation:
    """All propagators of an App or client. Raises RegistrationError if they can't be used together."""

    def __init__(self, propagators: Sequence[Propagator] = (), *, lasting_fields: Collection[str] = ()) -> None:
        """`lasting_fields` are headers that an execution leaves to the one that continues it as it got them."""
        problems = propagation_problems(propagators)
        if problems:
            raise RegistrationError("; ".join(problems))
        self._propagators = tuple(propagators)
        self._owners = {name: each for each in propagators for name in each.fields}
        self._lasting_fields = lasting_fields

    def headers(self, inherited: dict[str, str]) -> dict[str, str]:
        """The headers of what the running code starts now; inherited ones that no propagator here knows go on as they are.

        Raises ConfigurationError, EncodeError, PayloadTooLarge, and what propagators raise.
        """
        if not self._propagators:
            return inherited
        found = {name: text for name, text in inherited.items() if name not in self._owners}
        for propagator in self._propagators:
            for name, text in propagator.inject().items():
                if self._owners.get(name) is not propagator:
                    raise ConfigurationError(
                        f"{propagator!r} writes the header {name!r}, which isn't one of its fields"
                    )
                found[name] = text
        _check_size(found)
        return found

    def headers_of_next(self, inherited: dict[str, str]) -> dict[str, str]:
        """The headers of the execution that continues the one with the inherited ones. Raises what `headers` does."""
        found = self.headers(inherited)
        if not self._lasting_fields:
            return found
        lasting = {name: inherited[name] for name in self._lasting_fields if name in inherited}
        return {name: text for name, text in found.items() if name not in self._lasting_fields} | lasting

    def enter(self, headers: Mapping[str, str]) -> None:
        """Set what the headers say, in the current contextvars context."""
        for propagator in self._propagators:
            propagator.extract(headers)


def propagation_problems(propagators: Sequence[Propagator]) -> list[str]:
    """Every reason why these propagators can't be used together."""
    problems: list[str] = []
    seen: set[str] = set()
    for propagator in propagators:
        if not all(hasattr(propagator, part) for part in ("fields", "inject", "extract")):
            problems.append(
                f"{propagator!r} isn't a propagator; for a context variable there is ContextVarPropagator(variable)"
            )
            continue
        for name in propagator.fields:
            try:
                check_name(name, "a header's name")
            except InvalidName as problem:
                problems.append(str(problem))
                continue
            if name in seen:
                problems.append(f"two propagators write the header {name!r}: give one of them another name")
            seen.add(name)
    return problems


def _check_size(headers: Mapping[str, str]) -> None:
    size = sum(_size(name) + _size(text, name) for name, text in headers.items())
    if size > LIMIT_BYTES:
        largest = max(headers, key=lambda name: len(headers[name]))
        message = f"the headers have {size:,} bytes, {LIMIT_BYTES:,} are allowed; {largest!r} is the largest: carry an id, and look the rest up"
        raise PayloadTooLarge(message, size, LIMIT_BYTES)


def _size(text: str, name: str = "") -> int:
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise EncodeError(f"header {name!r} is {text!r}: headers are strings", name)
    try:
        return len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError as problem:
        raise EncodeError(f"header {name!r} isn't valid Unicode: {problem.reason}", name) from None
