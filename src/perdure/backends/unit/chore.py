"""Something else than a transition to do with a unit, in a batch like one."""

from __future__ import annotations

from collections.abc import Callable

from perdure.backends.seals import is_filling
from perdure.backends.unit.unit import Unit


class Chore:
    """A sealed store refuses it, unless told otherwise."""

    __slots__ = ("apply", "is_urgent", "when_filling", "when_sealed")

    def __init__(
        self,
        apply: Callable[[Unit], object],
        *,
        when_sealed: bool = False,
        when_filling: bool = False,
        is_urgent: bool = False,
    ) -> None:
        """`is_urgent`: behind a network it goes before all that is waiting."""
        self.apply = apply
        self.when_sealed = when_sealed
        self.when_filling = when_filling
        self.is_urgent = is_urgent

    def goes_through(self, seal: str) -> bool:
        return self.when_sealed or (self.when_filling and is_filling(seal))
