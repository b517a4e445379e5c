"""Something else than a transition to do with a unit, in a batch like one."""

from __future__ import annotations

from collections.abc import Callable

from perdure.backends.seals import is_filling
from perdure.backends.unit.unit import Unit


class Chore:
    """A sealed store refuses it, unless told otherwise."""

    __slots__ = ("apply", "when_filling", "when_sealed")

    def __init__(
        self, apply: Callable[[Unit], object], *, when_sealed: bool = False, when_filling: bool = False
    ) -> None:
        self.apply = apply
        self.when_sealed = when_sealed
        self.when_filling = when_filling

    def goes_through(self, seal: str) -> bool:
        return self.when_sealed or (self.when_filling and is_filling(seal))
