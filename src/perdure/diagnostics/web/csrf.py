"""Posts of other sites are refused, by what the browser says of their origin and by a token that other sites can't read.

The token stands in the form and in a cookie that the browser sends with requests of this site alone; they must be the same.
"""

from __future__ import annotations

import hmac
import re

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from perdure.clock import random_id
from perdure.diagnostics.api.origins import Sender, sender_of

FIELD = "token"
_TOKEN = re.compile(r"[0-9a-f]{64}")


def token_of(request: Request) -> str:
    """The browser's token, or a new one."""
    given = request.cookies.get(_cookie(request), "")
    return given if _TOKEN.fullmatch(given) else random_id().hex() + random_id().hex()


def keep(request: Request, response: Response, token: str) -> None:
    """Give the browser the token that the form of this response has."""
    response.set_cookie(_cookie(request), token, path="/", secure=_is_secure(request), httponly=True, samesite="strict")


def check(request: Request, given: str) -> None:
    """Raises HTTPException (403) for a post that didn't come from a form of this site."""
    if sender_of(request) is not Sender.HERE:  # browsers say it with every post
        raise HTTPException(403, "This was sent by another site, so nothing was done.")
    kept = request.cookies.get(_cookie(request), "")
    if not (_TOKEN.fullmatch(kept) and hmac.compare_digest(kept.encode(), given.encode())):
        raise HTTPException(
            403, "The form was too old, or your browser keeps no cookies, so nothing was done. Go back, and ask again."
        )


def _cookie(request: Request) -> str:
    """With this prefix browsers take the cookie from this very host alone, over https, and from no neighbour."""
    return "__Host-perdure_token" if _is_secure(request) else "perdure_token"


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
