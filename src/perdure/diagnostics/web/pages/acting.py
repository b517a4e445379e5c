"""Actions on one instance, queue or schedule: first the question whether it is meant, then the deed, then what became of it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perdure.diagnostics.actions.table import ACTIONS, Action, ActionName, Target, TargetKind
from perdure.diagnostics.views.instances import facts_of
from perdure.diagnostics.web import csrf, flashes
from perdure.diagnostics.web.forms import fields_of, inputs_of
from perdure.diagnostics.web.frame import links_of, page
from perdure.diagnostics.web.links import Links
from perdure.diagnostics.web.pages.instance import id_of
from perdure.diagnostics.web.store import Store, store_of
from perdure.errors import ConfigurationError


async def ask(request: Request) -> Response:
    """What the action would do, and the form that does it. Who may not do it isn't asked."""
    store, action, target = await store_of(request), action_of(request), _target(request)
    if await store.desk.who(request, action.name, target) is None:
        raise HTTPException(403, "You may look, but not do this here.")
    return await _question(request, store, action, target, dict(request.query_params))


async def act(request: Request) -> Response:
    fields = await fields_of(request)
    csrf.check(request, fields.get(csrf.FIELD, ""))
    store, action, target = await store_of(request), action_of(request), _target(request)
    try:
        inputs = inputs_of(action.inputs, fields)
    except ConfigurationError as problem:
        return await _question(request, store, action, target, fields, problem=str(problem))
    result = await store.desk.do(request, action.name, target.id, inputs)
    links = links_of(request)
    is_gone = action.name is ActionName.REMOVE and result.is_done
    place = links.to() if is_gone else _place(links, target)
    if result.instance_id is not None:
        place = links.instance(result.instance_id)
    response = RedirectResponse(place, status_code=303)
    text = " ".join(filter(None, (result.message, result.advice)))
    flashes.put(request, response, flashes.Flash("done" if result.is_done else "failed", text))
    return response


def action_of(request: Request) -> Action:
    try:
        return ACTIONS[ActionName(request.path_params["action"])]
    except ValueError:
        raise HTTPException(404) from None


def _target(request: Request) -> Target:
    action = action_of(request)
    if request.path_params["kind"] != action.kind:
        raise HTTPException(404)
    return Target(action.kind, id_of(request))


async def _question(
    request: Request, store: Store, action: Action, target: Target, fields: Mapping[str, str], problem: str = ""
) -> Response:
    token = csrf.token_of(request)
    facts = None
    if target.kind is TargetKind.INSTANCE:
        facts = facts_of(await store.look.client.info(target.id))
    response = page(
        request,
        "confirm.html",
        status=400 if problem else 200,
        section={TargetKind.QUEUE: "queues", TargetKind.SCHEDULE: "schedules"}.get(target.kind, "instances"),
        action=action,
        target=target,
        facts=facts,
        total=None,
        inputs=filled(action, fields),
        token=token,
        back=_place(links_of(request), target),
        problem=problem,
    )
    csrf.keep(request, response, token)
    return response


def filled(action: Action, fields: Mapping[str, str]) -> list[tuple[object, str]]:
    """Each input with what was written into it already."""
    return [(each, fields.get(each.name, "")) for each in action.inputs]


def _place(links: Links, target: Target) -> str:
    match target.kind:
        case TargetKind.QUEUE:
            return links.to("queues")
        case TargetKind.SCHEDULE:
            return links.to("schedules")
        case _:
            return links.instance(target.id)
