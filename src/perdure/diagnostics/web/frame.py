"""What is around every page: its links, the flash, the colours; and the answer with all of it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from perdure.diagnostics.web import flashes, rendering
from perdure.diagnostics.web.links import Links
from perdure.diagnostics.web.store import Store

THEME_COOKIE = "perdure_theme"
_THEMES = ("light", "dark")


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What `base.html` shows."""

    links: Links
    pages: tuple[tuple[str, str, str], ...]
    theme: str
    """Empty: as the reader's system has it."""
    flash: flashes.Flash | None
    store: str
    read_only: bool
    version: str = version("perdure")


def links_of(request: Request) -> Links:
    return Links(request.scope.get("root_path", ""))


def frame_of(request: Request) -> Frame:
    links, store = links_of(request), request.app.state.store
    assert isinstance(store, Store)
    theme = request.cookies.get(THEME_COOKIE, "")
    return Frame(
        links=links,
        pages=(
            ("instances", "Instances", links.to()),
            ("queues", "Queues", links.to("queues")),
            ("schedules", "Schedules", links.to("schedules")),
            *(() if store.desk.is_read_only else (("batches", "Batches", links.to("batches")),)),
        ),
        theme=theme if theme in _THEMES else "",
        flash=flashes.read(request),
        store=store.url,
        read_only=store.desk.is_read_only,
    )


def page(request: Request, template: str, /, *, status: int = 200, section: str = "", **values: Any) -> Response:
    """The page; a flash is shown once."""
    frame = frame_of(request)
    html = rendering.render(template, site=frame, section=section, **values)
    response = rendering.answer(request, html, status=status)
    if frame.flash is not None:
        flashes.clear(request, response)
    return response
