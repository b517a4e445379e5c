"""Whether a page of another site has a visitor's browser send something here (cross-site request forgery).

Browsers say where a request comes from, in headers that no page can set: `Sec-Fetch-Site` on https and on localhost, and `Origin`
with every POST. They need no token and no cookie, and hold behind a proxy that ends TLS, for the scheme isn't compared.
"""

from __future__ import annotations

import enum
from urllib.parse import urlsplit

from starlette.requests import Request

_PORTS = {"http": 80, "https": 443}


class Sender(enum.Enum):
    """Who sent a request."""

    HERE = enum.auto()
    """A page of this very site."""
    ELSEWHERE = enum.auto()
    UNKNOWN = enum.auto()
    """No browser, or one that is too old to say. A form must be refused then; what no form can send needn't be."""


def sender_of(request: Request) -> Sender:
    """As the browser says."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return Sender.HERE if site == "same-origin" else Sender.ELSEWHERE
    origin = request.headers.get("origin")
    if origin is None:
        return Sender.UNKNOWN
    return Sender.HERE if _is_host(origin, request.headers.get("host", "")) else Sender.ELSEWHERE


def _is_host(origin: str, host: str) -> bool:
    """`null`, which is what sandboxed frames send, is nobody's."""
    try:
        sent, here = urlsplit(origin), urlsplit(f"//{host}")
        default = _PORTS.get(sent.scheme)
        return (
            default is not None
            and bool(sent.hostname)
            and (sent.hostname, sent.port or default) == (here.hostname, here.port or default)
        )
    except ValueError:  # a port that is none
        return False
