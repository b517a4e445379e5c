"""The API as an ASGI app, made from the table of operations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perdure.diagnostics.actions.results import Result, result_of
from perdure.diagnostics.api import reads, writes
from perdure.diagnostics.api.openapi import description
from perdure.diagnostics.api.operations import Call, Operation, Services
from perdure.diagnostics.api.origins import Sender, sender_of
from perdure.diagnostics.api.problems import STATUS, Problem, invalid, refuse
from perdure.diagnostics.api.queries import read_query
from perdure.errors import PerdureError

OPERATIONS = (*reads.OPERATIONS, *writes.OPERATIONS)
LARGEST_BODY = 1_000_000
_JSON = "application/json"


def create_api(opened: Callable[[], Awaitable[Services]]) -> Starlette:
    """The API, to mount at `/api`; `opened` gives the open store's services, and raises StoreError."""
    document = msgspec.json.encode(description(OPERATIONS))

    async def describe(request: Request) -> Response:
        return Response(document, media_type=_JSON)

    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    routes = [Route(path, _endpoint(found, opened), methods=list(found)) for path, found in by_path.items()]
    return Starlette(
        routes=[*routes, Route("/openapi.json", describe)],
        exception_handlers={
            Problem: _told,
            PerdureError: _failed,
            HTTPException: _refused,
            Exception: _broken,
        },
    )


def _endpoint(
    operations: dict[str, Operation], opened: Callable[[], Awaitable[Services]]
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        operation = operations["GET" if request.method == "HEAD" else request.method]
        query = read_query(request.query_params, operation.query)
        body = None if operation.body is None else await _read_body(request, operation.body)
        call: Call[Any, Any] = Call(services=await opened(), request=request, query=query, body=body)
        return _response(operation, await operation.handler(call))

    return answer


def _response(operation: Operation, answered: Any) -> Response:
    if isinstance(answered, Response):
        return answered
    if isinstance(answered, Result) and answered.verdict in STATUS:
        refuse(answered)
    return Response(msgspec.json.encode(answered), status_code=operation.status, media_type=_JSON)


async def _read_body(request: Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    if sender_of(request) is Sender.ELSEWHERE:
        raise Problem(
            HTTPStatus.FORBIDDEN, "this was sent by a page of another site", "Send it from this site, or by a program."
        )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body must be {_JSON}",
            f"Send the header Content-Type: {_JSON}. What HTML forms send isn't taken, for any site could send it.",
        )
    try:
        return msgspec.json.decode(await _whole_body(request), type=kind)
    except msgspec.ValidationError as problem:
        names = ", ".join(field.name for field in msgspec.structs.fields(kind))
        raise invalid(str(problem), f"The body is a JSON object with {names}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body isn't JSON: {problem}") from None


async def _whole_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {LARGEST_BODY:,} bytes")
    return bytes(body)


async def _told(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return problem.response()


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, PerdureError)
    result = result_of(error)
    return Problem(STATUS[result.verdict], result.message, result.advice).response()


async def _refused(request: Request, error: Exception) -> Response:
    """What Starlette itself has no answer to: a path or a method."""
    assert isinstance(error, HTTPException)
    status, asked = HTTPStatus(error.status_code), f"{request.method} {request.url.path}"
    detail = f"there is no {asked}" if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED) else error.detail
    return Problem(status, detail, "openapi.json describes what there is.", headers=error.headers).response()


async def _broken(request: Request, error: Exception) -> Response:
    """The server's log has the error: Starlette raises it again."""
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "this broke", "The log of the program that serves this has the traceback."
    ).response()
