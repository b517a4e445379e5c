"""The user's own transaction, on the SQL servers: what these share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TypeVar, cast

from perdure.backends.joining.joining import Visit, carry_out
from perdure.backends.joining.loan import Lender, Loan
from perdure.backends.looking import Looking
from perdure.backends.network.backend import NetworkBackend
from perdure.backends.seals import refusal
from perdure.backends.sql.looking import SqlLooking
from perdure.backends.sql.schema import Origin, read_origin
from perdure.backends.sql.session import Session
from perdure.backends.sql.statements import SEAL_TARGET
from perdure.errors import StoreUsageError
from perdure.model.transition import AppendEvent, CreateInstance, Transition

O = TypeVar("O")  # noqa: E741 - the outcome


class SqlServerBackend(NetworkBackend):
    """A store that takes part in transactions of the user's."""

    @abstractmethod
    def _lender_of(self, connection: object) -> Lender:
        """Raises StoreUsageError."""

    @abstractmethod
    def _visit(self, loan: Loan, origin: Origin) -> Visit: ...

    def join(self, connection: object) -> SqlJoined:
        """What writes through this connection of the user's, in its open transaction. Raises StoreUsageError."""
        return SqlJoined(self, self._lender_of(connection))

    def check_outside(self) -> None:
        """Nothing waits for ever: locks have time-outs."""

    async def _read_origin(self) -> Origin:
        """Raises StoreSealed, StoreFilling: the user's transaction may not see it."""
        origin, seal = await self._look(_read_settled)
        if seal is not None:
            raise refusal(seal)
        return origin


class SqlJoined:
    """`Joined` on a server."""

    def __init__(self, backend: SqlServerBackend, lender: Lender) -> None:
        self._backend = backend
        self._lender = lender

    async def commit(self, transition: Transition[O]) -> O:
        assert isinstance(transition, CreateInstance | AppendEvent)
        backend = self._backend
        origin, now = await backend._read_origin(), backend._clock.now()
        outcome: object = await self._lender.lend(
            lambda loan: carry_out(backend._visit(loan, origin), loan, transition, now)
        )
        return cast("O", outcome)


def check_origin(session: Session, origin: Origin, is_elsewhere: Callable[[BaseException], bool], how: str) -> None:
    """Raises StoreUsageError if the session finds other tables than the store's, or none."""
    problem: Exception | None = None
    try:
        is_here = read_origin(session) == origin
    except Exception as raised:
        if not is_elsewhere(raised):
            raise
        is_here, problem = False, raised
    if not is_here:
        raise StoreUsageError(
            f"using() got a connection that doesn't lead to this store's tables: it must be connected to the same database{how}."
        ) from problem


def _read_settled(looking: Looking) -> tuple[Origin, str | None]:
    assert isinstance(looking, SqlLooking)
    seal = looking.session.execute(SEAL_TARGET).fetchone()
    return read_origin(looking.session), None if seal is None else str(seal[0])
