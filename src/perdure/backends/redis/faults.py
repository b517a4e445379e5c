"""Redis' errors in perdure's words, each with what to do about it."""

from __future__ import annotations

from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - redis-py's own
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    SlotNotCoveredError,
    TimeoutError,  # noqa: A004 - redis-py's own
    TryAgainError,
)

from perdure.backends.explaining import explained
from perdure.errors import (
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    StoreUsageError,
)

_LOST = (
    ConnectionError,
    TimeoutError,
    OSError,
    ReadOnlyError,
    OutOfMemoryError,
    ClusterDownError,
    MasterDownError,
    TryAgainError,
    SlotNotCoveredError,
    RedisClusterException,
)
_OF_THE_SERVER = ("MISCONF", "NOREPLICAS", "LOADING", "BUSY", "UNKILLABLE", "CLUSTERDOWN")

_FORBIDDEN = "user executing the script can't"
"""Within a script it comes without its code, up to Redis 7.0."""


def is_lost(problem: BaseException) -> bool:
    """Whether the connection is of no use any more, or the server serves nobody now."""
    return isinstance(problem, _LOST) or (isinstance(problem, RedisError) and _is_of_server(problem))


def _is_of_server(problem: RedisError) -> bool:
    # Within a script the code stands at the beginning, too; redis-py cuts off those that it has classes for.
    return str(problem).startswith(_OF_THE_SERVER)


def translated(problem: BaseException, place: str) -> BaseException:
    """The StoreError that says the same; what isn't the driver's stays as it is."""
    return explained(problem, place, _translate)


def _translate(problem: BaseException, place: str) -> Exception | None:
    said = f"It was said: {type(problem).__name__}: {problem}"
    if isinstance(problem, AuthenticationError):
        return StoreUsageError(f"{place} doesn't let this user in: check user and password in the URL. {said}")
    if isinstance(problem, NoPermissionError) or _FORBIDDEN in str(problem):
        return StoreUsageError(
            f"{place}: this user may not run a command, or not on these keys; its ACL needs the categories @read, @write, "
            f"@scripting and @pubsub for the store's prefix. {said}"
        )
    if isinstance(problem, OutOfMemoryError):
        return StoreFull(
            f"{place} has used up its maxmemory; nothing was written. Raise it, or remove ended instances (perdure prune), "
            f"then repeat. {said}"
        )
    if isinstance(problem, ReadOnlyError):
        return StoreReadOnly(f"{place} can't be written: it is a replica. Connect to the primary. {said}")
    if str(problem).startswith("MISCONF"):
        return StoreReadOnly(
            f"{place} refuses writes because it can't save to its disk: look at its log and at the space there. {said}"
        )
    if is_lost(problem):
        return StoreUnavailable(
            f"{place} can't be reached, or went away before it answered: whether a write under way took place isn't known; "
            f"repeat it. {said}"
        )
    if isinstance(problem, RedisError):
        return StoreError(f"{place} refused a command; nothing of the batch was written. {said}")
    return None
