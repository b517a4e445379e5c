"""One run as one page that needs nothing else: to attach to a report, to read offline, to keep after the instance is gone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from types import SimpleNamespace

from perdure.diagnostics.look import Look
from perdure.diagnostics.views.history import EventRow, read_history
from perdure.diagnostics.views.run import read_run
from perdure.diagnostics.views.timeline import read_timeline
from perdure.diagnostics.views.where import read_where
from perdure.diagnostics.web.drawing import drawn
from perdure.diagnostics.web.excerpts import excerpt
from perdure.diagnostics.web.rendering import STATIC, render

_MOST_EVENTS = 2_000
_MOST_BARS = 500


async def run_page(look: Look, instance_id: str, *, execution_id: str | None = None) -> str:
    """The run as HTML, with its style and without any script. Of a long history the last events. Raises InstanceNotFound."""
    run = await read_run(look, instance_id, execution_id=execution_id)
    timeline, where = await asyncio.gather(
        read_timeline(look, instance_id, execution_id=run.execution_id, most=_MOST_BARS), read_where(look, instance_id)
    )
    length = next((link.history_length for link in run.chain if link.is_shown), run.facts.history_length)
    style = (STATIC / "perdure.css").read_text()
    return render(
        "alone.html",
        site=SimpleNamespace(links=None, store=look.client.backend.url),
        style=style,
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        run=run,
        facts=run.facts,
        where=where,
        excerpts=[(place, excerpt(place)) for place in where.places],
        timeline=timeline,
        drawing=drawn(timeline),
        events=await _last_events(look, instance_id, run.execution_id, length),
        length=length,
        retry=False,
    )


async def _last_events(look: Look, instance_id: str, execution_id: str, length: int) -> list[EventRow]:
    found: list[EventRow] = []
    after: int | None = max(length - _MOST_EVENTS, 0) - 1
    while after is not None and len(found) < _MOST_EVENTS:
        page = await read_history(look, instance_id, execution_id=execution_id, after=after, limit=_MOST_EVENTS)
        found += page.events
        after = page.next_after
    return found
