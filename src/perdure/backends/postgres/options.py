"""How a PostgreSQL store is reached and behaves."""

from __future__ import annotations

import msgspec


class PostgresOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a store; those of the connection itself stand in the URL, as libpq and asyncpg take them."""

    schema: str | None = None
    """The schema of the tables, made if it isn't there; None is the first one of the user's search path."""
    migrate: bool = True
    """Whether to bring an older schema up to date; if not, one is refused."""
    notices: bool = True
    """Whether to LISTEN and NOTIFY; without it the store is polled every 50 ms while somebody waits."""
    pgbouncer: bool = False
    """Whether connections lead through PgBouncer in transaction mode: no prepared statements, no notices, no session settings."""
    timeout_seconds: float = 30.0
    """How long a statement, or making a connection, may take before the connection is given up."""

    @property
    def has_notices(self) -> bool:
        return self.notices and not self.pgbouncer
