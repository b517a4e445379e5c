"""What a program may end with, whatever happens to the machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from perdure.backends.endings import LOSSES_IN_A_ROW
from perdure.testing.simulation.interpreter import Entry
from perdure.testing.simulation.programs import Errand, Program, Step

Problem = str


class Oracle:
    """Judges the results of one run, in which so many workers were lost."""

    def __init__(self, workers_lost: int, result_of: Callable[[str], list[Entry] | None]) -> None:
        self._may_lose = workers_lost >= LOSSES_IN_A_ROW
        self._result_of = result_of
        self._was_cancelled = False

    def problems(self, program: Program, entries: list[Entry], *, was_cancelled: bool) -> Iterator[Problem]:
        """What is wrong with the result of a program that has completed.

        After a cancel its entries end early; and a group forgives branches that end cancelled, because their commands
        are refused. (A group that fails swallows a cancel that comes at the same time, up to Python 3.12.)
        """
        self._was_cancelled = was_cancelled
        steps = list(steps_of(program))
        if entries and entries[-1][0] == "cleaned":
            if program.clean_up != "return":
                yield f"{program.name} completed after a clean-up, though it raises then"
            yield from self._outcome(Errand(key=f"{program.name}.clean", tries=10), entries[-1][1:])
            yield from self._prefix(steps, entries[:-1])
        else:
            yield from self._whole(steps, entries)

    def _whole(self, steps: Iterable[Step], entries: list[Entry]) -> Iterator[Problem]:
        expected = [step.key for step in steps]
        if [entry[0] for entry in entries] != expected:
            yield f"entries of {[entry[0] for entry in entries]}, where {expected} were played"
        yield from self._prefix(steps, entries)

    def _prefix(self, steps: Iterable[Step], entries: list[Entry]) -> Iterator[Problem]:
        for step, entry in zip(steps, entries, strict=False):
            if step.key != entry[0]:
                yield f"the entry of {entry[0]} stands where that of {step.key} should"
                return
            yield from self._entry(step, entry[1:])

    def _entry(self, step: Step, entry: Entry) -> Iterator[Problem]:
        check = _CHECKS.get(step.kind)
        if check is None:
            yield f"{step.key} ({step.kind}) went on: {entry}"
        else:
            yield from check(self, step, entry)

    def _outcome(self, errand: Errand, entry: Entry) -> Iterator[Problem]:
        allowed = list(self._allowed(errand))
        if entry not in allowed:
            yield f"activity {errand.key} ({errand.how}): {entry}, where {allowed} may come"

    def _allowed(self, errand: Errand) -> Iterator[Entry]:
        yield _OUTCOMES.get(errand.how, ["gave", f"{errand.key}!"])
        if errand.queue_timeout is not None or errand.total_timeout is not None:
            yield ["raised", "ActivityTimeout"]
        if self._may_lose:
            yield ["raised", "WorkerLost"]

    # --- each kind of step

    def _activity(self, step: Step, entry: Entry) -> Iterator[Problem]:
        assert step.errand is not None
        yield from self._outcome(step.errand, entry)

    def _parallel(self, step: Step, entry: Entry) -> Iterator[Problem]:
        for steps, entries in zip(step.branches, entry[0], strict=True):
            yield from (self._prefix if self._was_cancelled else self._whole)(steps, entries)

    def _group(self, step: Step, entry: Entry) -> Iterator[Problem]:
        if entry[0] != "failed" and not self._was_cancelled:
            yield f"group {step.key} {entry[0]}"
        for steps, entries in zip(step.branches, entry[1], strict=True):
            yield from self._prefix(steps, entries)

    def _child(self, step: Step, entry: Entry) -> Iterator[Problem]:
        assert step.child is not None
        if entry[0] == "gave":
            if entry[1] != self._result_of(step.child.name):
                yield f"{step.key}: sub-workflow {step.child.name} gave {entry[1]}, and that isn't its result"
        elif entry[1] != "FailedOnPurpose" or not fails(step.child):
            yield f"sub-workflow {step.child.name}: {entry}"

    def _receive(self, step: Step, entry: Entry) -> Iterator[Problem]:
        if len(entry[1]) != step.count:
            yield f"{step.key} received {len(entry[1])} letters, not {step.count}"

    def _signal(self, step: Step, entry: Entry) -> Iterator[Problem]:
        if len(entry[1]) != step.count:
            yield f"{step.key}: {entry}"

    def _timeout(self, step: Step, entry: Entry) -> Iterator[Problem]:
        if entry[0] != "timed out":
            yield from self._activity(step, entry)
        elif entry[1] < step.seconds:
            yield f"{step.key} timed out after {entry[1]} s, not {step.seconds}"

    def _race(self, step: Step, entry: Entry) -> Iterator[Problem]:
        if entry != ["lost", True]:
            yield from self._activity(step, entry)

    def _torn(self, step: Step, entry: Entry) -> Iterator[Problem]:
        if entry != ["torn"]:
            yield from self._activity(step, entry)

    def _cancelled_scope(self, step: Step, entry: Entry) -> Iterator[Problem]:
        assert step.errand is not None
        if entry != ["scope cancelled"]:
            yield from self._activity(step, entry)
        elif step.errand.cancellation == "wait":
            yield f"{step.key}: the activity was to finish, and was cancelled"

    def _sleep(self, step: Step, entry: Entry) -> Iterator[Problem]:
        if entry[1] < step.seconds:
            yield f"{step.key} slept {entry[1]} s, not {step.seconds}"

    def _exactly(self, step: Step, entry: Entry) -> Iterator[Problem]:
        expected = _ENTRIES[step.kind]
        if entry != expected:
            yield f"{step.key}: {entry}, not {expected}"

    def _anything(self, step: Step, entry: Entry) -> Iterator[Problem]:
        yield from ()


_OUTCOMES: dict[str, Entry] = {
    "broken": ["raised", "Declined"],
    "permanent": ["raised", "PermanentError"],
    "hang": ["raised", "ActivityTimeout"],
}
_ENTRIES: dict[str, Entry] = {"orphan": ["left"], "publish": ["published"], "patched": ["patched", True]}
_CHECKS: dict[str, Callable[[Oracle, Step, Entry], Iterator[Problem]]] = {
    "activity": Oracle._activity,
    "parallel": Oracle._parallel,
    "group": Oracle._group,
    "child": Oracle._child,
    "orphan": Oracle._exactly,
    "receive": Oracle._receive,
    "signal": Oracle._signal,
    "timeout": Oracle._timeout,
    "race": Oracle._race,
    "torn": Oracle._torn,
    "cancelled_scope": Oracle._cancelled_scope,
    "sleep": Oracle._sleep,
    "side_effect": Oracle._anything,
    "chance": Oracle._anything,
    "publish": Oracle._exactly,
    "patched": Oracle._exactly,
}
"""Steps that leave an entry; the others end their program."""


def steps_of(program: Program) -> Iterator[Step]:
    """The steps of all chapters."""
    for chapter in program.chapters:
        yield from chapter


def all_steps(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps and those of their branches; not those of sub-workflows."""
    for step in steps:
        yield step
        for branch in step.branches:
            yield from all_steps(branch)


def fails(program: Program) -> bool:
    """Whether it ends with a failure."""
    return program.chapters[-1][-1].kind == "fail"


def waits_for_ever(program: Program) -> bool:
    """Whether only others can end it."""
    return program.chapters[-1][-1].kind == "for_ever"


def programs_of(program: Program) -> Iterator[Program]:
    """The program and all its sub-workflows, and theirs."""
    yield program
    for step in all_steps(steps_of(program)):
        if step.child is not None:
            yield from programs_of(step.child)


def letters_in(entries: Iterable[Entry]) -> Iterator[tuple[str, int]]:
    """The letters that were received, in the order of the entries."""
    for entry in entries:
        branches: list[list[Entry]] = []
        if entry[1] == "received":
            yield from ((sender, number) for sender, number in entry[2])
        elif isinstance(entry[1], list):
            branches = entry[1]
        elif entry[1] in {"failed", "passed"}:
            branches = entry[2]
        for branch in branches:
            yield from letters_in(branch)
