"""How a PostgreSQL store is reached and behaves."""

from __future__ import annotations

import re

import msgspec

from perdure.backends.apart import BLOB_THRESHOLD
from perdure.errors import ConfigurationError

_SCHEMA = re.compile(r"[\w$-]+")
_LONGEST_SCHEMA = 55  # bytes; with `perdure ` before it, it is the name of a channel, and names have up to 63


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
    blob_threshold: int = BLOB_THRESHOLD
    """Payloads of more bytes are kept apart, in blobs. Processes on one store may have different ones."""
    timeout_seconds: float = 30.0
    """How long a statement, or making a connection, may take before the connection is given up."""

    def __post_init__(self) -> None:
        schema = self.schema
        if schema is not None and not (_SCHEMA.fullmatch(schema) and len(schema.encode()) <= _LONGEST_SCHEMA):
            raise ConfigurationError(
                f"schema is {schema!r}: it can have letters, digits, _, - and $, up to {_LONGEST_SCHEMA} bytes of UTF-8"
            )

    @property
    def has_notices(self) -> bool:
        return self.notices and not self.pgbouncer
