"""What goes wrong, as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NoReturn

import msgspec
from starlette.responses import Response

from perdure.diagnostics.actions.results import Result, Verdict

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[Verdict, HTTPStatus] = {
    Verdict.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Verdict.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Verdict.CONFLICT: HTTPStatus.CONFLICT,
    Verdict.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Verdict.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, and what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    advice: str = ""


class Problem(Exception):
    """Ends a request with an answer that isn't what was asked for."""

    def __init__(
        self, status: HTTPStatus, detail: str, advice: str = "", *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.advice = advice
        self.headers = headers

    def response(self) -> Response:
        told = ProblemDetails(title=self.status.phrase, status=self.status.value, detail=str(self), advice=self.advice)
        return Response(
            msgspec.json.encode(told), status_code=self.status, headers=dict(self.headers or {}), media_type=MEDIA_TYPE
        )


def refuse(result: Result) -> NoReturn:
    """Raises what a result that isn't done means to who asked."""
    raise Problem(STATUS[result.verdict], result.message, result.advice)


def invalid(detail: str, advice: str = "") -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, advice)
