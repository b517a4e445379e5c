"""What a kind of store is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit


class Kind(Protocol):
    """One kind of store, as its server's own driver sees it: nothing here goes through perdure."""

    @property
    def name(self) -> str: ...
    @property
    def schemes(self) -> tuple[str, ...]:
        """Of its URLs."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether it is behind a network."""
        ...

    def url(self) -> str | None:
        """Where it is: mostly from PERDURE_TEST_…; None if nobody has said."""
        ...

    async def fresh(self, url: str, folder: Path, run: str) -> str:
        """The URL of an empty store there, of its own. `folder` is an empty one, `run` a new word."""
        ...

    async def beside(self, url: str) -> str:
        """The URL of another empty one, which goes with it."""
        ...

    async def settings(self, url: str) -> dict[str, Any]:
        """The server's version, and what decides how durable and how fast it is."""
        ...

    @property
    def promised(self) -> Mapping[str, Any]:
        """What `settings` must say, or the store isn't as durable as its figures claim."""
        ...

    async def multiply(self, url: str, templates: Mapping[str, int]) -> None:
        """Copy the instances of these ids, which end in zeros, until there are so many of each."""
        ...

    async def commands(self, url: str) -> int | None:
        """How many commands the server has carried out so far, for anybody; None if it doesn't tell."""
        ...

    async def drop(self, url: str) -> None:
        """Take away what `fresh` has given, and what is beside it."""
        ...


class NotAsDurable(Exception):
    """The server was set to promise less than the reports say."""


def check_promises(kind: Kind, settings: Mapping[str, Any]) -> None:
    """Raises NotAsDurable."""
    wrong = [
        f"{name}={settings.get(name)}, not {wanted}"
        for name, wanted in kind.promised.items()
        if settings.get(name) != wanted
    ]
    if wrong:
        raise NotAsDurable(f"{kind.name} has {', '.join(wrong)}: its figures would be worth nothing")


def with_option(url: str, name: str, value: str) -> str:
    """The URL with another option, or another value of it."""
    parts = urlsplit(url)
    return parts._replace(
        query=urlencode([*((n, v) for n, v in parse_qsl(parts.query) if n != name), (name, value)])
    ).geturl()


def option(url: str, name: str) -> str:
    """The value of an option; nothing if it isn't there."""
    return dict(parse_qsl(urlsplit(url).query)).get(name, "")


def without_options(url: str) -> str:
    """What the server's own driver takes."""
    return urlsplit(url)._replace(query="").geturl()
