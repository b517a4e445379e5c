"""postgresql:// for `connect`, until that knows it by itself: then this does nothing, and can go."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult

from perdure.backends import connect
from perdure.backends.postgres import PostgresBackend, PostgresOptions
from perdure.backends.protocol import Backend


def teach() -> None:
    """Make it known."""
    connect._STORES.setdefault("postgresql", _postgresql)


def _postgresql(url: str, parts: SplitResult, options: dict[str, Any]) -> Backend:
    return PostgresBackend(parts._replace(query="").geturl(), PostgresOptions(**options))
