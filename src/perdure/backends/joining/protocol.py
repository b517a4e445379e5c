"""What a store has that can take part in transactions of the user's."""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

from perdure.model.transition import Transition

O = TypeVar("O")  # noqa: E741 - the outcome


class Joined(Protocol):
    """A transaction of the user's, while it is open."""

    async def commit(self, transition: Transition[O]) -> O:
        """Carry out a creation or an appended event: durable when the user commits, gone when they roll back.

        Whatever it raises, the transaction can go on, unless the database ended it. Raises StoreUsageError if the connection
        isn't one of this store's or has no transaction open, and what the user's driver raises.
        """
        ...


@runtime_checkable
class Joinable(Protocol):
    """A store that can take part in transactions of the user's."""

    def join(self, connection: object) -> Joined:
        """What writes through this connection. Raises StoreUsageError if it is none that the store can use."""
        ...

    def check_outside(self) -> None:
        """Raises StoreUsageError if a write from here would wait for a transaction that this very code has open."""
        ...
