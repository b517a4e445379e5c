"""How a transition takes place inside a transaction of the user's.

The rules are the same as anywhere, over a `Unit` of its own on tables behind the user's connection. What is particular:

- The transaction isn't ours: it must go on whatever comes of the transition. So all happens behind a savepoint, and what fails is
  rolled back to it. PostgreSQL would else refuse each further statement.
- An instance that is about to change is locked first, and stays so until the user's transaction ends; who wants to write it waits,
  or is put aside, alone (B2). What turned out to write nothing locks nothing.
- Rows that were read may have changed before they are written, or an id be taken: then the transition is applied again.
- Errors of the user's connection are the user's: what retries the transaction knows them. They aren't translated.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Protocol

from perdure.backends.joining.loan import Loan
from perdure.backends.rules.table import RULES
from perdure.backends.seals import refusal
from perdure.backends.unit.tables import Tables
from perdure.backends.unit.unit import Unit
from perdure.backends.wakes import Wakes
from perdure.clock import Micros
from perdure.errors import StoreUnavailable, StoreUsageError
from perdure.model.transition import AppendEvent, CreateInstance

_ATTEMPTS = 4


class Visit(Protocol):
    """A loan of a connection, as one store uses it."""

    def enter(self) -> None:
        """Set the savepoint. Raises StoreUsageError if there is no transaction that it could be in."""
        ...

    def check(self) -> None:
        """Behind the savepoint. Raises StoreUsageError if the connection leads elsewhere."""
        ...

    def tables(self) -> Tables: ...

    def lock(self, instance_id: str) -> None:
        """Let nobody else write the instance, if there is such a one."""
        ...

    def tell(self, wakes: Wakes) -> None:
        """Let others know, once it is committed."""
        ...

    def is_conflict(self, problem: BaseException) -> bool:
        """Whether the same may succeed at once."""
        ...


def carry_out(visit: Visit, loan: Loan, transition: CreateInstance | AppendEvent, now: Micros) -> Any:
    """The transition's outcome. The user's transaction is as it was, or has what the transition wrote."""
    visit.enter()
    try:
        visit.check()
        outcome = _apply(visit, loan, transition, now)
    except BaseException:
        with suppress(Exception):  # what was raised says more
            loan.run("rollback to savepoint perdure")
            loan.run("release savepoint perdure")
        raise
    loan.run("release savepoint perdure")
    return outcome


def _apply(visit: Visit, loan: Loan, transition: CreateInstance | AppendEvent, now: Micros) -> Any:
    conflict: Exception | None = None
    for _ in range(_ATTEMPTS):
        try:
            return _apply_once(visit, loan, transition, now)
        except Exception as problem:
            if not visit.is_conflict(problem):
                raise
            conflict = problem
            loan.run("rollback to savepoint perdure")
    raise StoreUnavailable(
        "Others have written what this start or signal needs, and your transaction can't see it (it is REPEATABLE READ or "
        "SERIALIZABLE), or they did so again and again: roll it back and repeat it as a whole.",
        is_unwritten=True,
    ) from conflict


def _apply_once(visit: Visit, loan: Loan, transition: CreateInstance | AppendEvent, now: Micros) -> Any:
    unit = Unit(visit.tables())
    unit.begin(now)
    visit.lock(transition.instance_id)
    sealed = unit.seal_target()
    if sealed is not None:
        raise refusal(sealed)
    outcome = RULES[type(transition)](unit, transition)
    if unit.settle():
        unit.flush()
        visit.tell(unit.wakes)
    else:
        loan.run("rollback to savepoint perdure")
    return outcome


def unsuitable(connection: object, taken: str) -> StoreUsageError:
    """The connection is none that the store can write through."""
    kind = type(connection)
    return StoreUsageError(
        f"using() can't write through a {kind.__module__}.{kind.__qualname__}: this store takes {taken}. Pass the connection (or "
        f"SQLAlchemy session) itself, inside its open transaction."
    )
