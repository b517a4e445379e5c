"""Smaller pages: the tree of an instance, queues and workers, schedules; and payloads and runs to take away."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from perdure.diagnostics.actions.table import Action, Target, TargetKind
from perdure.diagnostics.views.history import read_payload
from perdure.diagnostics.views.queues import QueueRow, read_queues, read_throughput
from perdure.diagnostics.views.schedules import ScheduleRow, read_schedules
from perdure.diagnostics.views.tree import read_tree
from perdure.diagnostics.web.alone import run_page
from perdure.diagnostics.web.frame import page
from perdure.diagnostics.web.links import as_segment
from perdure.diagnostics.web.pages.events import number_in
from perdure.diagnostics.web.pages.instance import id_of
from perdure.diagnostics.web.rendering import STATIC, versions
from perdure.diagnostics.web.store import Store, store_of
from perdure.model.inspection import QueueLimits


async def show_tree(request: Request) -> Response:
    store, instance_id = await store_of(request), id_of(request)
    tree = await read_tree(store.look, instance_id)
    return page(request, "tree.html", section="instances", tree=tree, facts=tree.nodes[0].facts)


async def show_queues(request: Request) -> Response:
    store = await store_of(request)
    found, throughput = await asyncio.gather(read_queues(store.look), read_throughput(store.look))
    actions = {row.queue: await _queue_actions(request, store, row) for row in found.queues}
    return page(request, "queues.html", section="queues", found=found, throughput=throughput, actions=actions)


async def show_schedules(request: Request) -> Response:
    store = await store_of(request)
    found = await read_schedules(store.look)
    actions = {row.schedule_id: await _schedule_actions(request, store, row) for row in found.schedules}
    return page(request, "schedules.html", section="schedules", found=found, actions=actions)


async def send_payload(request: Request) -> Response:
    """All of a payload, as a file: never as something that a browser would open as a page of this site."""
    store, instance_id, query = await store_of(request), id_of(request), request.query_params
    execution_id, position, name = query.get("execution", ""), number_in(query, "at"), query.get("name", "")
    found = None
    if position is not None:
        found = await read_payload(store.look, instance_id, execution_id, position, name)
    if found is None:
        raise HTTPException(404)
    ending, kind = (
        ("bin", "application/octet-stream") if found.kind == "binary" else ("txt", "text/plain; charset=utf-8")
    )
    headers = {"content-disposition": f'attachment; filename="payload-{position}.{ending}"'}
    return Response(found.data, media_type=kind, headers=headers)


async def send_run(request: Request) -> Response:
    """The run as one page that needs nothing else, to be attached to a report."""
    store, instance_id = await store_of(request), id_of(request)
    html = await run_page(store.look, instance_id)
    headers = {"content-disposition": f'attachment; filename="{as_segment(instance_id)[:100]}.html"'}
    return HTMLResponse(html, headers=headers)


async def send_static(request: Request) -> Response:
    """A file of the site's own; its address changes with its content."""
    name = request.path_params["name"]
    if name not in versions():
        raise HTTPException(404)
    return FileResponse(STATIC / name, headers={"cache-control": "public, max-age=31536000, immutable"})


async def health(request: Request) -> Response:
    """Whether the store answers."""
    store = await store_of(request)
    await store.look.now()
    return PlainTextResponse("ok\n")


async def _queue_actions(request: Request, store: Store, row: QueueRow) -> list[Action]:
    limits = QueueLimits(paused=row.is_paused, at_once=row.at_once, per_second=row.per_second)
    return await store.desk.offered(request, Target(TargetKind.QUEUE, row.queue), limits)


async def _schedule_actions(request: Request, store: Store, row: ScheduleRow) -> list[Action]:
    return await store.desk.offered(request, Target(TargetKind.SCHEDULE, row.schedule_id), row)  # type: ignore[arg-type]
