"""The page of one instance: everything about it, so that nobody has to look in a second place."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.diagnostics.actions.table import ActionName, Target, TargetKind
from perdure.diagnostics.views.history import HistoryPage, read_history
from perdure.diagnostics.views.run import read_run
from perdure.diagnostics.views.timeline import read_timeline
from perdure.diagnostics.views.where import read_where
from perdure.diagnostics.web.drawing import Scale, drawn
from perdure.diagnostics.web.excerpts import excerpt
from perdure.diagnostics.web.frame import links_of, page
from perdure.diagnostics.web.links import from_segment
from perdure.diagnostics.web.pages.events import FAMILIES, EventsAsked, number_in, pager_of
from perdure.diagnostics.web.store import Store, store_of
from perdure.errors import InvalidName
from perdure.model.instance import Instance

BARS = 200
_REDRAWN_RUNNING, _REDRAWN_ENDED = 10.0, 60.0
"""In seconds. What isn't in the instance's own row, and where the present is on the timeline, is looked at so often."""


async def show_instance(request: Request) -> Response:
    store, instance_id = await store_of(request), id_of(request)
    instance = await store.look.client.info(instance_id)
    tag = await _tag(store, instance)
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    response = page(request, "instance.html", section="instances", **await _values(request, store, instance))
    response.headers["etag"] = tag
    return response


def id_of(request: Request) -> str:
    """The id that the address names. Raises InvalidName."""
    segment = request.path_params["segment"]
    try:
        return from_segment(segment)
    except ValueError:
        raise InvalidName(f"{segment!r} isn't how an id is written in an address") from None


async def _tag(store: Store, instance: Instance) -> str:
    """Cheap to make, for a page that is open asks for it again and again: what hasn't changed isn't read further."""
    every = _REDRAWN_ENDED if instance.state.is_ended else _REDRAWN_RUNNING
    slot = asyncio.get_running_loop().time() // every
    pending = await store.look.client.activities(instance.instance_id)
    seen = msgspec.msgpack.encode((instance, pending, slot))
    return f'"{hashlib.sha256(seen).hexdigest()[:32]}"'


async def _values(request: Request, store: Store, instance: Instance) -> dict[str, Any]:
    look, query, instance_id = store.look, request.query_params, instance.instance_id
    run = await read_run(look, instance_id, execution_id=query.get("execution"))
    length = next((link.history_length for link in run.chain if link.is_shown), run.facts.history_length)
    wanted = EventsAsked.of(query, length)
    timeline, where, events = await asyncio.gather(
        read_timeline(look, instance_id, execution_id=run.execution_id, first=number_in(query, "bar") or 0, most=BARS),
        read_where(look, instance_id),
        _events(look, instance_id, run.execution_id, wanted),
    )
    scale: Scale = "even" if query.get("scale") == "even" else "time"
    links, here = links_of(request), {"execution": query.get("execution")}
    actions = await store.desk.offered(request, Target(TargetKind.INSTANCE, instance_id), instance)
    return {
        "run": run,
        "facts": run.facts,
        "here": here,
        "where": where,
        "excerpts": [(place, excerpt(place)) for place in where.places],
        "timeline": timeline,
        "drawing": drawn(timeline, scale),
        "scale": scale,
        "bars_shown": BARS,
        "events": events,
        "asked": wanted,
        "length": length,
        "pager": pager_of(links, instance_id, here, wanted, events, length),
        "families": tuple(FAMILIES),
        "actions": actions,
        "retry": any(action.name is ActionName.RETRY_ACTIVITY for action in actions),
    }


async def _events(look: Any, instance_id: str, execution_id: str, wanted: EventsAsked) -> HistoryPage:
    return await read_history(
        look,
        instance_id,
        execution_id=execution_id,
        after=wanted.after,
        limit=wanted.limit,
        kinds=wanted.kinds,
        text=wanted.text,
    )
