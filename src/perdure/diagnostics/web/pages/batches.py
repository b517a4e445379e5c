"""One action on all instances of a list: how many there are, whether it is meant, and how it goes on."""

from __future__ import annotations

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perdure.client.filters import instance_filter
from perdure.diagnostics.actions.batch import BatchStatus, filter_target
from perdure.diagnostics.actions.results import Result
from perdure.diagnostics.web import csrf, flashes
from perdure.diagnostics.web.forms import fields_of, inputs_of
from perdure.diagnostics.web.frame import links_of, page
from perdure.diagnostics.web.pages.acting import action_of, filled
from perdure.diagnostics.web.pages.filters import Asked, asked
from perdure.diagnostics.web.store import store_of
from perdure.errors import ConfigurationError
from perdure.model.inspection import InstanceFilter


async def show_batches(request: Request) -> Response:
    store = await store_of(request)
    return page(request, "batches.html", section="batches", batches=store.batches.list())


async def show_batch(request: Request) -> Response:
    store = await store_of(request)
    status = store.batches.read(request.path_params["batch"])
    if isinstance(status, Result):
        raise HTTPException(404, f"{status.message}. {status.advice}")
    return _with_token(request, "batch.html", batch=status)


async def ask(request: Request) -> Response:
    return await _question(request, asked(request.query_params), dict(request.query_params))


async def start(request: Request) -> Response:
    fields = await fields_of(request)
    csrf.check(request, fields.get(csrf.FIELD, ""))
    store, action, wanted = await store_of(request), action_of(request), asked(QueryParams(fields))
    try:
        inputs = inputs_of(action.inputs, fields)
        where = await _filter(request, wanted)
    except ConfigurationError as problem:
        return await _question(request, wanted, fields, problem=str(problem))
    begun = await store.batches.start(request, action.name, where, inputs)
    links = links_of(request)
    if isinstance(begun, BatchStatus):
        return RedirectResponse(links.to("batches", begun.batch_id), status_code=303)
    response = RedirectResponse(links.to(**wanted.query), status_code=303)
    flashes.put(request, response, flashes.Flash("failed", f"{begun.message} {begun.advice}"))
    return response


async def stop(request: Request) -> Response:
    fields = await fields_of(request)
    csrf.check(request, fields.get(csrf.FIELD, ""))
    store, batch_id = await store_of(request), request.path_params["batch"]
    result = await store.batches.stop(request, batch_id)
    response = RedirectResponse(links_of(request).to("batches", batch_id), status_code=303)
    text = " ".join(filter(None, (result.message, result.advice)))
    flashes.put(request, response, flashes.Flash("done" if result.is_done else "failed", text))
    return response


async def _question(request: Request, wanted: Asked, fields: dict[str, str], problem: str = "") -> Response:
    store, action = await store_of(request), action_of(request)
    if not action.is_for_many or not wanted.query:
        raise HTTPException(404)
    where = await _filter(request, wanted)
    if await store.desk.who(request, action.name, filter_target(where)) is None:
        raise HTTPException(403, "You may look, but not do this here.")
    total = sum((await store.look.client.backend.count_instances(where)).values())
    return _with_token(
        request,
        "confirm.html",
        status=400 if problem else 200,
        action=action,
        target=None,
        facts=None,
        total=total,
        conditions=wanted.query,
        inputs=filled(action, fields),
        back=links_of(request).to(**wanted.query),
        problem=problem,
    )


async def _filter(request: Request, wanted: Asked) -> InstanceFilter:
    store = await store_of(request)
    return instance_filter(wanted.tab_filters(await store.look.now()))


def _with_token(request: Request, template: str, *, status: int = 200, **values: object) -> Response:
    token = csrf.token_of(request)
    response = page(request, template, status=status, section="batches", token=token, **values)
    csrf.keep(request, response, token)
    return response
