"""How a store in MySQL or MariaDB is reached and behaves."""

from __future__ import annotations

import re

import msgspec

from perdure.backends.apart import BLOB_THRESHOLD
from perdure.errors import ConfigurationError

_PREFIX = re.compile(r"[A-Za-z0-9_]{1,32}")


class MysqlOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a store; those of the connection itself stand in the address (address.py)."""

    prefix: str = "perdure_"
    """What the names of all tables begin with."""
    migrate: bool = True
    """Whether to bring an older schema up to date; if not, one is refused."""
    notices: bool = True
    """Whether processes wake each other; without it the store is polled every 50 ms while somebody waits."""
    blob_threshold: int = BLOB_THRESHOLD
    """Payloads of more bytes are kept apart, in blobs. Processes on one store may have different ones."""
    timeout_seconds: float = 30.0
    """How long a statement, or making a connection, may take before the connection is given up."""

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigurationError(f"the prefix {self.prefix!r} must be 1 to 32 letters, digits and underscores")
