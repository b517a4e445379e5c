"""URLs of stores: taken apart, and shown without their secrets.

No message shows a URL as it was given: what is wrong with one is mostly a password whose special characters weren't quoted, and
then each part of it may hold a piece of the password. The errors of `urllib` show such parts, too, and are no causes of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from perdure.errors import ConfigurationError

FORMS = (
    "memory://name, sqlite:///orders.db (relative), sqlite:////var/lib/orders.db (absolute), "
    "postgresql://user:password@host/database, mysql://…, mariadb://…, redis://host:6379/0, redis+cluster://host:6379"
)
_QUOTING = (
    "In a user's name or password, write special characters as %XX (@ is %40, / is %2F, : is %3A), or pass them as keywords: "
    "connect(url, user=…, password=…)"
)

_WITHOUT_SECRETS = re.compile(r"(sqlite|memory):/|[^:@?]*$")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[\w.%-]*)"
_HOSTS = re.compile(rf"{_HOST}(?::\d+)?(?:,{_HOST}(?::\d+)?)*")


class StoreUrl:
    """The parts of a store's URL; those that a query gives are `options`."""

    __slots__ = ("fragment", "netloc", "options", "path", "scheme", "shown")

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError."""
        if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"a store's URL is a str, not {type(url).__name__}: {FORMS}")
        self.shown = shown(url)
        """The URL for messages."""
        if "://" not in url:
            raise ConfigurationError(
                f"{self.shown!r} is no store's URL: {FORMS}. A path becomes one by sqlite:/// before it."
            )
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ConfigurationError(f"{self.shown!r} is no store's URL: {FORMS}. {_QUOTING}") from None
        self.scheme = parts.scheme
        self.netloc = parts.netloc
        self.path = parts.path
        self.fragment = parts.fragment
        self.options = self._read_query(parts.query)

    def __repr__(self) -> str:
        return f"<{self.shown}>"

    def _read_query(self, query: str) -> dict[str, str]:
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError:
            raise ConfigurationError(
                f"{self.shown!r}: what follows the ? must be options as in ?migrate=false. {_QUOTING}"
            ) from None
        options: dict[str, str] = {}
        for name, value in pairs:
            if name in options:
                raise ConfigurationError(f"{self.shown!r} gives {name} twice")
            options[name] = value
        return options


class Server:
    """Where a server is and who asks: what stands between `://` and `?`."""

    __slots__ = ("hosts", "name", "password", "user")

    def __init__(self, url: StoreUrl) -> None:
        """Raises ConfigurationError."""
        secrets, _, hosts = url.netloc.rpartition("@")
        if url.fragment or "@" in secrets or "@" in url.path or not _HOSTS.fullmatch(hosts):
            raise ConfigurationError(f"{url.shown!r}: no host can be read out of it. {_QUOTING}")
        user, _, password = secrets.partition(":")
        self.user = unquote(user) or None
        self.password = unquote(password) or None
        self.hosts = [_host_and_port(each, url) for each in hosts.split(",")] if hosts else []
        self.name = unquote(url.path.removeprefix("/")) or None
        """The database's."""


def _host_and_port(text: str, url: StoreUrl) -> tuple[str, int | None]:
    host, separator, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not separator:
        host, port = text, ""
    if port and not 0 < int(port) < 65_536:
        raise ConfigurationError(f"{url.shown!r}: {port} is no port")
    return unquote(host.removeprefix("[").removesuffix("]")), int(port) if port else None


def shown(url: str) -> str:
    """The URL without what may be secret, however wrong it is."""
    if _WITHOUT_SECRETS.match(url):
        return url
    scheme, separator, rest = url.partition("://")
    if not separator:
        return f"{re.split('[:@?]', url)[0]}…" if "@" not in url else "…"
    if not _SCHEME.fullmatch(scheme):
        return "…"
    netloc, slash, others = re.split("([/?#]|$)", rest, maxsplit=1)
    hosts = netloc.rpartition("@")[2]
    if "@" in others or not _HOSTS.fullmatch(hosts):
        return f"{scheme}://…"
    path = re.split("[?#]", others)[0] if slash == "/" else ""
    return f"{scheme}://{hosts}/{path}" if path else f"{scheme}://{hosts}"


def plain_url(scheme: str, hosts: Iterable[tuple[str, int | None]], name: str, **options: str | None) -> str:
    """How a store is called in messages, and told from others: without user and password."""
    places = ",".join(_place(host, port) for host, port in hosts)
    query = "&".join(f"{option}={quote(value, safe='/')}" for option, value in options.items() if value)
    return f"{scheme}://{places}/{quote(name, safe='')}".rstrip("/" if places else "") + (f"?{query}" if query else "")


def _place(host: str, port: int | None) -> str:
    shown_host = f"[{host}]" if ":" in host else quote(host.lower() if "/" not in host else host, safe="")
    return shown_host if port is None else f"{shown_host}:{port}"
