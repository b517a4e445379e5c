"""MySQL's and MariaDB's errors in perdure's words, each with what to do about it."""

from __future__ import annotations

import asyncio

from asyncmy import errors

from perdure.backends.explaining import explained
from perdure.backends.network.link import Conflict
from perdure.errors import StoreError, StoreFull, StoreReadOnly, StoreUnavailable, StoreUsageError

INTERRUPTED = 1317
UNKNOWN_CONNECTION, FOREIGN_CONNECTION = 1094, 1095

_LOST = frozenset(
    [
        *(2002, 2003, 2006, 2013, 2014, 2055),  # the driver's own: can't connect, gone away, out of step
        *(1053, 1077, 1079, 1080, 3032),  # the server shuts down, or is offline
        *(1040, 1203, 1226),  # too many connections
        *(1152, 1158, 1159, 1160, 1161, 1184),  # the connection was aborted
        *(1927, 3169, 4031),  # somebody has killed it, or it was idle for too long
        *(INTERRUPTED, 1969, 3024),  # a statement was stopped
    ]
)
_READ_ONLY = frozenset([1290, 1792, 1836])
_CONFLICTS = frozenset(
    [
        1062,  # such a key is there already
        1213,  # dead-lock
        *(1020, 3101),  # the others of a cluster were faster
    ]
)
_LOCKED = frozenset([1205, 3572])
_FULL = frozenset([1021, 1114])
_REFUSED_AT_THE_DOOR = frozenset([1044, 1045, 1129, 1130, 1698])
_NOT_PERMITTED = frozenset([1142, 1143, 1227, 1370])
_NO_SUCH_DATABASE = 1049
_ALREADY_THERE = frozenset([1050, 1060, 1061])


def number_of(problem: BaseException) -> int | None:
    """The server's, or the driver's, number of an error."""
    if isinstance(problem, errors.Error) and problem.args and isinstance(problem.args[0], int):
        return problem.args[0]
    return None


def is_lost(problem: BaseException) -> bool:
    """Whether the connection is of no use any more, or the server serves nobody now."""
    if isinstance(problem, errors.InterfaceError):
        return True
    if isinstance(problem, errors.InternalError) and number_of(problem) is None:
        return True  # the answers are out of step
    number = number_of(problem)
    return number in _LOST or number in _READ_ONLY or isinstance(problem, OSError | asyncio.IncompleteReadError)


def is_conflict(problem: BaseException) -> bool:
    """Whether somebody else was faster, so that the same may succeed at once."""
    return isinstance(problem, Conflict) or number_of(problem) in _CONFLICTS


def is_locked(problem: BaseException) -> bool:
    return number_of(problem) in _LOCKED


def is_already_there(problem: BaseException) -> bool:
    """Whether a table or an index that was to be made has been made before."""
    return number_of(problem) in _ALREADY_THERE


def translated(problem: BaseException, place: str) -> BaseException:
    """The StoreError that says the same; what isn't the driver's stays as it is."""
    return explained(problem, place, _translate)


def _translate(problem: BaseException, place: str) -> Exception | None:
    said = f"It was said: {type(problem).__name__}: {problem}"
    number = number_of(problem)
    if number in _REFUSED_AT_THE_DOOR:
        return StoreUsageError(
            f"{place} doesn't let this user in: check user, password and database in the URL. {said}"
        )
    if number == _NO_SUCH_DATABASE:
        return StoreUsageError(f"{place}: there is no such database; create it first (create database). {said}")
    if number in _NOT_PERMITTED:
        return StoreUsageError(f"{place}: this user may not do that; grant it what is missing. {said}")
    if number in _READ_ONLY:
        return StoreReadOnly(f"{place} can't be written: it is a replica, or read-only. {said}")
    if number in _FULL:
        return StoreFull(f"There is no space left for {place}; nothing was written. Make room, then repeat. {said}")
    if is_lost(problem):
        return StoreUnavailable(
            f"{place} can't be reached, or went away before it answered: whether a write under way took place isn't known; "
            f"repeat it. {said}"
        )
    if isinstance(problem, errors.Error):
        return StoreError(f"{place} refused a statement; nothing of it was written. {said}")
    return None
