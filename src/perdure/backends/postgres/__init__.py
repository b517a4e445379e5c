"""A store in a PostgreSQL database, for many machines."""

from __future__ import annotations

from perdure.backends.postgres.network import PostgresBackend
from perdure.backends.postgres.options import PostgresOptions

__all__ = ["PostgresBackend", "PostgresOptions"]
