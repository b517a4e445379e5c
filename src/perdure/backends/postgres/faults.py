"""PostgreSQL's errors in perdure's words, each with what to do about it."""

from __future__ import annotations

import asyncio

import asyncpg

from perdure.backends.explaining import explained
from perdure.backends.network.link import Conflict
from perdure.errors import ConfigurationError, StoreError, StoreFull, StoreReadOnly, StoreUnavailable, StoreUsageError

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.QueryCanceledError,
    ConnectionError,
    OSError,
    asyncio.IncompleteReadError,
    TimeoutError,
)
_CONFLICTS = (asyncpg.UniqueViolationError, asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


def is_lost(problem: BaseException) -> bool:
    """Whether the connection is of no use any more, or the server serves nobody now."""
    if isinstance(problem, asyncpg.InterfaceError):
        said = str(problem)
        return "clos" in said or "released back to the pool" in said  # as it is when it was closed or terminated
    return isinstance(problem, _LOST)


def is_conflict(problem: BaseException) -> bool:
    """Whether somebody else was faster, so that the same may succeed at once."""
    return isinstance(problem, (Conflict, *_CONFLICTS))


def is_locked(problem: BaseException) -> bool:
    return isinstance(problem, asyncpg.LockNotAvailableError)


def translated(problem: BaseException, place: str) -> BaseException:
    """The StoreError that says the same; what isn't the driver's stays as it is."""
    return explained(problem, place, _translate)


def _translate(problem: BaseException, place: str) -> Exception | None:
    said = f"It was said: {type(problem).__name__}: {problem}"
    for kind, error, text in _MEANINGS:
        if isinstance(problem, kind):
            return error(f"{text.replace('{place}', place)} {said}")
    if is_lost(problem):
        return StoreUnavailable(
            f"{place} can't be reached, or went away before it answered: whether a write under way took place isn't known; "
            f"repeat it. {said}"
        )
    if isinstance(problem, asyncpg.PostgresError | asyncpg.InterfaceError):
        return StoreError(f"{place} refused a statement; nothing of it was written. {said}")
    return None


_MEANINGS: tuple[tuple[type[BaseException], type[Exception], str], ...] = (
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        StoreUsageError,
        "{place} doesn't let this user in: check user and password in the URL.",
    ),
    (
        asyncpg.InvalidCatalogNameError,
        StoreUsageError,
        "{place}: there is no such database; create it first (createdb).",
    ),
    (
        asyncpg.ReadOnlySQLTransactionError,
        StoreReadOnly,
        "{place} can't be written: it is a replica, or its transactions are read-only.",
    ),
    (
        asyncpg.TargetServerAttributeNotMatched,
        StoreReadOnly,
        "{place} can't be written: it is a replica, or its transactions are read-only.",
    ),
    (
        asyncpg.DiskFullError,
        StoreFull,
        "There is no space left for {place}; nothing was written. Make room, then repeat.",
    ),
    (
        asyncpg.InsufficientPrivilegeError,
        StoreUsageError,
        "{place}: this user may not do that; grant it what is missing.",
    ),
    (asyncpg.ClientConfigurationError, ConfigurationError, "{place} can't be connected to like this."),
)
