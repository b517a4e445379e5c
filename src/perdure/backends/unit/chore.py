"""Something else than a transition to do with a unit, in a batch like one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from perdure.backends.seals import is_filling
from perdure.backends.unit.unit import Unit

Merge = Callable[[Sequence[Any]], Any]
Follow = Callable[[Any], Callable[[Unit], Any]]


class Where(TypedDict, total=False):
    """In which stores and partitions a chore is done."""

    when_sealed: bool
    when_filling: bool
    about: str | int | None
    merge: Merge | None
    follow: Follow | None
    in_part: bool


class Chore:
    """A sealed store refuses it, unless told otherwise.

    In a store with several partitions it is done in that of the instance that it is `about` (id or key), or
    in all of them. Then either what each of them gives is merged (`merge`), or the first one goes before, and the others do
    what follows from what that gives (`follow`). Without any of it, it is done in the first one alone. `in_part`: what some give is
    merged though others can't be reached.
    """

    __slots__ = ("about", "apply", "follow", "in_part", "is_brief", "is_urgent", "merge", "when_filling", "when_sealed")

    def __init__(  # noqa: PLR0913 - each says something else of where and when
        self,
        apply: Callable[[Unit], Any],
        *,
        when_sealed: bool = False,
        when_filling: bool = False,
        about: str | int | None = None,
        merge: Merge | None = None,
        follow: Follow | None = None,
        in_part: bool = False,
        is_brief: bool = False,
        is_urgent: bool = False,
    ) -> None:
        """`is_brief`: it changes few rows, and shares its batch with transitions. `is_urgent`: behind a network it goes first."""
        self.apply = apply
        self.when_sealed = when_sealed
        self.when_filling = when_filling
        self.about = about
        self.merge = merge
        self.follow = follow
        self.in_part = in_part
        self.is_brief = is_brief
        self.is_urgent = is_urgent

    def goes_through(self, seal: str) -> bool:
        return self.when_sealed or (self.when_filling and is_filling(seal))

    def with_apply(self, apply: Callable[[Unit], Any]) -> Chore:
        """The same for one partition."""
        return Chore(apply, when_sealed=self.when_sealed, when_filling=self.when_filling)


def first(outcomes: Sequence[Any]) -> Any:
    """A `merge` where all give the same."""
    return outcomes[0]


def together(outcomes: Sequence[Any]) -> list[Any]:
    """A `merge` of sequences."""
    return [each for some in outcomes for each in some]
