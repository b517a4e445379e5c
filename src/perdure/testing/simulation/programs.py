"""Random workflows as data: what `interpreter` plays, `oracle` foresees, and `driver` starts.

A program is a list of chapters, each an execution of its own: continue-as-new leads from one to the next. A chapter is a list of
steps, and each step leaves one entry in the result. So the outcome follows from the program, but for what really depends
on time; there the oracle knows all that may come.
"""

from __future__ import annotations

from random import Random

import msgspec

QUEUES = ("default", "left", "right")


class Errand(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an activity is to do. `how`: ok, flaky (fails `fails` times), broken, permanent, hang, beat or open (somebody outside gives its
    result)."""

    key: str
    how: str = "ok"
    seconds: float = 0.0
    fails: int = 0
    tries: int = 3
    queue: str | None = None
    timeout: float | None = None
    queue_timeout: float | None = None
    total_timeout: float | None = None
    cancellation: str = "wait"
    priority: int | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step; what its fields mean depends on `kind`, see `interpreter`."""

    kind: str
    key: str
    errand: Errand | None = None
    seconds: float = 0.0
    count: int = 0
    how: str = ""
    target: str = ""
    branches: tuple[tuple[Step, ...], ...] = ()
    child: Program | None = None


class Program(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A workflow. `clean_up` is what it does when it is cancelled: "", "raise" or "return" after the clean-up."""

    name: str
    chapters: tuple[tuple[Step, ...], ...]
    clean_up: str = ""
    queue: str | None = None
    parent_close: str = "cancel"


class Letter(msgspec.Struct, frozen=True):
    """A signal: the `number`th of its sender."""

    sender: str
    number: int


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A program and what its client does with it; times are seconds from the beginning, or from the start of the instance."""

    program: Program
    start_at: float
    letters: tuple[tuple[str, tuple[float, ...]], ...] = ()
    """By sender: when each letter goes off, at the earliest."""
    with_start: int = 0
    """Letters of a sender of its own that come with the start."""
    start_delay: float = 0.0
    cancel_after: float | None = None
    terminate_after: float | None = None
    suspend_after: float | None = None
    suspended_seconds: float = 0.0
    timeout: float | None = None


def random_scripts(dice: Random, count: int, storm_seconds: float) -> tuple[Script, ...]:
    """Scripts that refer to each other's instances."""
    names = [f"p{number}" for number in range(count)]
    return tuple(_Writer(dice, name, names).script(storm_seconds) for name in names)


class _Writer:
    """Writes the program of one instance, and counts the letters that it will take."""

    def __init__(self, dice: Random, name: str, names: list[str]) -> None:
        self._dice = dice
        self._name = name
        self._names = names
        self._keys = 0
        self._letters = 0
        self._waits_for_ever = False

    def script(self, storm_seconds: float) -> Script:
        dice = self._dice
        program = self._program(self._name, depth=0)
        with_start = min(self._letters, dice.choice((0, 0, 0, 1, 2)))
        letters = self._split(self._letters - with_start + dice.choice((0, 0, 1, 3)), storm_seconds)
        cancel_after = _maybe(dice, 0.2, storm_seconds)
        if self._waits_for_ever and cancel_after is None:
            cancel_after = dice.uniform(0, storm_seconds)
        return Script(
            program=program,
            start_at=dice.uniform(0, storm_seconds * 0.6),
            letters=letters,
            with_start=with_start,
            start_delay=dice.choice((0.0, 0.0, 0.0, 0.0, 1.5)),
            cancel_after=cancel_after,
            terminate_after=_maybe(dice, 0.05, storm_seconds),
            suspend_after=_maybe(dice, 0.07, storm_seconds / 2),
            suspended_seconds=dice.uniform(0.1, 3),
            timeout=dice.uniform(1, 20) if dice.random() < 0.05 else None,
        )

    def _split(self, count: int, storm_seconds: float) -> tuple[tuple[str, tuple[float, ...]], ...]:
        """The letters, from one or two senders."""
        first = self._dice.randint(0, count)
        times = [self._dice.uniform(0, storm_seconds / 2) for _ in range(count)]
        return (("ann", tuple(sorted(times[:first]))), ("bob", tuple(sorted(times[first:]))))

    def _program(self, name: str, depth: int) -> Program:
        dice = self._dice
        chapters = [self._steps(depth, dice.randint(1, 6)) for _ in range(dice.choice((1, 1, 2, 3)))]
        ending = dice.random()
        if ending < 0.1:
            chapters[-1] += (self._step("fail"),)
        elif ending < 0.2:
            self._waits_for_ever = True
            chapters[-1] += (self._step("for_ever", how=dice.choice(("signal", "sleep", "predicate"))),)
        return Program(
            name=name,
            chapters=tuple(chapters),
            clean_up=dice.choice(("", "raise", "return")),
            queue=dice.choice((None, *QUEUES)),
            parent_close=dice.choice(("cancel", "terminate", "abandon")),
        )

    def _steps(self, depth: int, count: int) -> tuple[Step, ...]:
        return tuple(self._random_step(depth) for _ in range(count))

    def _random_step(self, depth: int) -> Step:
        dice = self._dice
        kinds = [kind for kind in _WEIGHTS if depth < 2 or kind not in _NESTED]
        kind = dice.choices(kinds, weights=[_WEIGHTS[kind] for kind in kinds])[0]
        if kind == "activity":
            return self._step(kind, errand=self._errand())
        if kind in {"parallel", "group"}:
            branches = tuple(self._steps(2, dice.randint(1, 2)) for _ in range(dice.randint(2, 4)))
            return self._step(kind, branches=branches)
        if kind in {"child", "orphan"}:
            return self._child(kind, depth)
        return self._small(kind)

    def _small(self, kind: str) -> Step:
        dice = self._dice
        if kind == "receive":
            count = dice.randint(1, 3)
            self._letters += count
            return self._step(kind, count=count, how=dice.choice(("plain", "plain", "impatient")))
        if kind == "signal":
            return self._step(kind, target=dice.choice(self._names), count=dice.randint(1, 2))
        if kind in {"timeout", "race", "torn", "cancelled_scope"}:
            errand = self._errand(hows=("ok", "ok", "beat"), cancellation=dice.choice(("wait", "request", "abandon")))
            return self._step(kind, errand=errand, seconds=dice.choice((0.001, 0.05, 0.5, 2.0)))
        return self._step(kind, seconds=dice.choice((0.0, 0.01, 0.2, 1.0)))

    def _child(self, kind: str, depth: int) -> Step:
        """A sub-workflow takes no letters, and ends by itself, or with its parent."""
        self._keys += 1
        letters, waits = self._letters, self._waits_for_ever
        self._letters = 0
        child = self._program(f"{self._name}-{self._keys}", depth + 1)
        fits = not self._letters and (
            not self._waits_for_ever or (kind == "orphan" and child.parent_close != "abandon")
        )
        self._letters, self._waits_for_ever = letters, waits
        if not fits:
            return self._step("activity", errand=self._errand())
        return self._step(kind, child=child)

    def _errand(
        self, hows: tuple[str, ...] = ("ok", "ok", "ok", "open", "flaky", "flaky", "broken", "permanent", "hang", "beat"),
        cancellation: str | None = None,
    ) -> Errand:  # fmt: skip
        dice = self._dice
        self._keys += 1
        how = dice.choice(hows)
        tries = dice.randint(1, 3)
        return Errand(
            key=f"{self._name}.{self._keys}",
            how=how,
            seconds=dice.choice((0.0, 0.0, 0.01, 0.1, 1.0)),
            fails=tries - 1 if how == "flaky" else 0,
            tries=tries,
            queue=dice.choice((None, None, *QUEUES)),
            timeout=0.5 if how == "hang" else None,
            queue_timeout=2.0 if dice.random() < 0.05 else None,
            total_timeout=3.0 if dice.random() < 0.05 else None,
            cancellation=cancellation or dice.choice(("wait", "wait", "request", "abandon")),
            priority=dice.choice((None, None, 1, -1)),
        )

    def _step(
        self, kind: str, *, errand: Errand | None = None, seconds: float = 0.0, count: int = 0, how: str = "",
        target: str = "", branches: tuple[tuple[Step, ...], ...] = (), child: Program | None = None,
    ) -> Step:  # fmt: skip
        self._keys += 1
        return Step(
            kind=kind, key=f"{self._name}.{self._keys}", errand=errand, seconds=seconds, count=count, how=how,
            target=target, branches=branches, child=child,
        )  # fmt: skip


_NESTED = {"parallel", "group", "child", "orphan"}
_WEIGHTS = {
    "activity": 8,
    "parallel": 2,
    "group": 1,
    "child": 2,
    "orphan": 1,
    "receive": 3,
    "signal": 2,
    "timeout": 2,
    "race": 1,
    "torn": 1,
    "cancelled_scope": 1,
    "sleep": 2,
    "side_effect": 1,
    "chance": 1,
    "publish": 1,
    "patched": 1,
}


def _maybe(dice: Random, chance: float, longest: float) -> float | None:
    return dice.uniform(0, longest) if dice.random() < chance else None
