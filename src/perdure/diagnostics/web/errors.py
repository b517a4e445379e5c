"""What went wrong, and what to do: pages that tell it without the program's insides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from perdure.diagnostics.web.frame import page
from perdure.errors import (
    ConfigurationError,
    InstanceNotFound,
    InvalidName,
    PerdureError,
    ScheduleNotFound,
    StoreError,
)

_BY_STATUS = {
    404: ("There is no such page", "The address may be cut off or mistyped. Begin at the list of instances."),
    405: ("This can't be done here", "Go back, and use the buttons of the page."),
    413: ("That is too much", "What was sent is larger than this site takes."),
}


async def missing_instance(request: Request, problem: Exception) -> Response:
    instance_id = getattr(problem, "instance_id", "")
    return page(request, "missing.html", status=404, instance_id=instance_id, section="instances")


async def missing_schedule(request: Request, problem: Exception) -> Response:
    advice = "It may have been deleted. The list has those that there are."
    return _told(request, 404, "There is no such schedule", "", advice)


async def wrong_question(request: Request, problem: Exception) -> Response:
    return _told(request, 400, "This can't be shown", str(problem), "Change the address or the filter, and try again.")


async def no_store(request: Request, problem: Exception) -> Response:
    advice = "Nothing is lost: what was acknowledged stays in the store. Look whether it runs and can be reached from here, then try again."
    return _told(request, 503, "The store doesn't answer", str(problem), advice, can_retry=True)


async def plain(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    title, advice = _BY_STATUS.get(problem.status_code, ("This didn't work", problem.detail))
    return _told(request, problem.status_code, title, "", advice)


async def broken(request: Request, problem: Exception) -> Response:
    advice = "The log of the program that serves this page has the traceback: please report it."
    return _told(request, 500, "This page broke", type(problem).__name__, advice, can_retry=True)


def _told(request: Request, status: int, title: str, problem: str, advice: str, *, can_retry: bool = False) -> Response:
    return page(request, "error.html", status=status, title=title, problem=problem, advice=advice, can_retry=can_retry)


HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    ScheduleNotFound: missing_schedule,
    InstanceNotFound: missing_instance,
    InvalidName: wrong_question,
    ConfigurationError: wrong_question,
    StoreError: no_store,
    PerdureError: wrong_question,
    HTTPException: plain,
    Exception: broken,
}
