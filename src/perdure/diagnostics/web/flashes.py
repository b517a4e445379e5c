"""A flash: what became of an action, told on the page that follows. It travels in a cookie of the browser that asked."""

from __future__ import annotations

import base64
import binascii
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

_COOKIE = "perdure_flash"
_LONGEST = 1000


class Flash(msgspec.Struct, frozen=True):
    """`done`, or why not."""

    kind: Literal["done", "failed"]
    text: str


def read(request: Request) -> Flash | None:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(request.cookies[_COOKIE]), type=Flash)
    except (KeyError, binascii.Error, ValueError):
        return None


def put(request: Request, response: Response, flash: Flash) -> None:
    """For the next page of this browser; a minute later it is no news any more."""
    cut = Flash(flash.kind, flash.text if len(flash.text) <= _LONGEST else flash.text[:_LONGEST] + "…")
    response.set_cookie(
        _COOKIE,
        base64.urlsafe_b64encode(msgspec.json.encode(cut)).decode(),
        max_age=60,
        path=_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def clear(request: Request, response: Response) -> None:
    response.delete_cookie(_COOKIE, path=_path(request), httponly=True, samesite="strict")


def _path(request: Request) -> str:
    return request.scope.get("root_path", "") or "/"
