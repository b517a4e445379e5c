"""The list of instances, and the way from a search to one of them."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perdure.diagnostics.actions.table import ACTIONS
from perdure.diagnostics.views.instances import InstanceCounts, InstancePage, read_counts, read_instances
from perdure.diagnostics.web.frame import links_of, page
from perdure.diagnostics.web.links import Links
from perdure.diagnostics.web.pages.filters import TABS, Asked, Tab, asked, count_of
from perdure.diagnostics.web.store import store_of
from perdure.errors import ConfigurationError, InstanceNotFound, InvalidName

_SIZES = (50, 100, 200)


async def show_instances(request: Request) -> Response:
    store = await store_of(request)
    wanted, cursor, size = asked(request.query_params), request.query_params.get("cursor"), _size(request)
    try:
        found, counts = await asyncio.gather(
            read_instances(store.look, cursor=cursor, limit=size, **wanted.tab_filters(await store.look.now())),
            read_counts(store.look, **wanted.filters()),
        )
    except ConfigurationError as problem:
        return _page(request, wanted, None, None, size, problem=str(problem))
    return _page(request, wanted, found, counts, size)


async def find(request: Request) -> Response:
    """To the instance of this id; to the list of those whose ids hold it, if there is none."""
    store, instance_id, links = await store_of(request), request.query_params.get("id", ""), links_of(request)
    try:
        await store.look.client.state(instance_id)
    except (InstanceNotFound, InvalidName):
        return RedirectResponse(links.to(find=instance_id.strip()), status_code=303)
    return RedirectResponse(links.instance(instance_id), status_code=303)


def _page(
    request: Request,
    wanted: Asked,
    found: InstancePage | None,
    counts: InstanceCounts | None,
    size: int,
    problem: str = "",
) -> Response:
    links, cursor = links_of(request), request.query_params.get("cursor")
    sized = {} if size == _SIZES[0] else {"size": str(size)}
    tabs = _tabs(links, wanted, counts)
    return page(
        request,
        "instances.html",
        status=400 if problem else 200,
        section="instances",
        wanted=wanted,
        tabs=tabs,
        total=next((tab.count for tab in tabs if tab.is_current), None),
        instances=() if found is None else found.instances,
        newest=links.to(**wanted.query, **sized) if cursor else "",
        older=links.to(**wanted.query, **sized, cursor=found.cursor) if found and found.cursor else "",
        sizes=[(each, links.to(**wanted.query, size=each), each == size) for each in _SIZES],
        clear=links.to(**({"show": wanted.show} if wanted.show else {})),
        actions=_actions(request, wanted),
        problem=problem,
        is_first=cursor is None,
    )


def _tabs(links: Links, wanted: Asked, counts: InstanceCounts | None) -> list[Tab]:
    return [
        Tab(
            key=key,
            title=title,
            count=None if counts is None else count_of(counts, key),
            href=links.to(**wanted.shown_as(key)),
            is_current=key == wanted.show,
        )
        for key, title in TABS
    ]


def _actions(request: Request, wanted: Asked) -> list[tuple[str, str]]:
    """What can be done to all of the filter, and where it is asked for."""
    if request.app.state.store.desk.is_read_only or not wanted.query:
        return []
    links = links_of(request)
    return [
        (action.label, links.to("batches", "new", action.name, **wanted.query))
        for action in ACTIONS.values()
        if action.is_for_many
    ]


def _size(request: Request) -> int:
    given = request.query_params.get("size", "")
    return int(given) if given in map(str, _SIZES) else _SIZES[0]
