"""From templates to answers. What is shown was written by strangers: everything is escaped, and nothing is trusted to be HTML."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from perdure.diagnostics.web import texts

HERE = Path(__file__).parent
STATIC = HERE / "static"


@cache
def environment() -> Environment:
    """The templates, with the filters that they use."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_finalize,
    )
    made.filters |= {
        "duration": texts.duration,
        "size": texts.size,
        "number": texts.number,
        "moment": texts.moment,
        "second": texts.second,
        "machine_time": texts.machine_time,
        "own_style": _own_style,
        "sent": _sent,
    }
    return made


def render(name: str, **values: Any) -> str:
    return environment().get_template(name).render(values)


def answer(request: Request, html: str, *, status: int = 200) -> Response:
    """The page, or nothing but 304 if the reader says that this is what they have."""
    tag = f'"{hashlib.sha256(html.encode()).hexdigest()[:32]}"'
    if status == 200 and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    return HTMLResponse(html, status_code=status, headers={"etag": tag} if status == 200 else None)


@cache
def versions() -> dict[str, str]:
    """Of each file in `static`, a mark that changes with its content."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in STATIC.iterdir()}


def _own_style(style: str) -> Markup:
    """Our own style sheet, inside a page. It is no data; that it can't end its element is looked at all the same."""
    assert "<" not in style
    return Markup(style)  # noqa: S704 - see above


def _sent(value: object) -> Markup:
    """The value of a field, which a form sends back as it was: what is written out for eyes would be another value."""
    return escape("" if value is None else value).replace("\r", Markup("&#13;"))


def _finalize(value: object) -> object:
    if value is None:
        return ""
    return value if isinstance(value, Markup) else texts.visible(str(value))
