"""What an operation of the API is: where it is, what it takes and gives, and who answers.

A handler's docstring and annotations are its description: there is nothing besides that could say something else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, Literal, Protocol, TypeVar, get_args, get_type_hints

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.diagnostics.actions.batch import Batches
from perdure.diagnostics.actions.desk import Desk
from perdure.diagnostics.api.queries import Nothing
from perdure.diagnostics.look import Look

Q_co = TypeVar("Q_co", covariant=True)
B_co = TypeVar("B_co", covariant=True)


class Services(Protocol):
    """What the API reads and writes through, open."""

    @property
    def look(self) -> Look: ...
    @property
    def desk(self) -> Desk: ...
    @property
    def batches(self) -> Batches: ...


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Q_co, B_co]):
    """A request, read and checked."""

    services: Services
    request: Request
    query: Q_co
    body: B_co

    @property
    def look(self) -> Look:
        return self.services.look


Handler = Callable[[Call[Any, Any]], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One row of the API. An `answer` of Response is bytes, as they are stored."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    summary: str
    handler: Handler
    answer: Any
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None
    status: HTTPStatus = HTTPStatus.OK

    @property
    def is_raw(self) -> bool:
        return self.answer is Response


def reading(path: str, handler: Handler) -> Operation:
    """A GET, described by its handler."""
    return _described("GET", path, handler, HTTPStatus.OK)


def writing(path: str, handler: Handler, status: HTTPStatus = HTTPStatus.OK) -> Operation:
    """A POST, described by its handler."""
    return _described("POST", path, handler, status)


def _described(method: Literal["GET", "POST"], path: str, handler: Handler, status: HTTPStatus) -> Operation:
    hints = get_type_hints(handler)
    query, body = get_args(hints["call"])
    return Operation(
        method=method,
        path=path,
        name=handler.__name__,
        summary=" ".join((handler.__doc__ or "").split()),
        handler=handler,
        answer=hints["return"],
        query=query,
        body=None if body is type(None) else body,
        status=status,
    )
