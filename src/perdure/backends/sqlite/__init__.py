"""A store in a SQLite file: durable on one machine, for one or a few processes."""

from __future__ import annotations

from perdure.backends.sqlite.backend import SqliteBackend
from perdure.backends.sqlite.connection import SqliteOptions

__all__ = ["SqliteBackend", "SqliteOptions"]
