"""Which runs there are, and what is to be said about them.

First the test runs twice without trouble: it must pass, and go the same way both times. Then it runs once for each trouble.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator
from random import Random

import msgspec

from perdure.app import App
from perdure.testing.crash.elsewhere import Elsewhere
from perdure.testing.crash.run import Ended, Run
from perdure.testing.crash.trouble import Kind, Trouble, seed_asked_for, some

_MOST_SHOWN = 5


class TroubleFound(AssertionError):
    """A test passes, but not when workers crash or deliveries are late. The message has each finding and how to repeat it."""


class Crashes(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs `crash_anywhere` makes."""

    seed: int = 0
    most_points: int = 200
    """Commits before and after which a worker crashes; of more than that, these are drawn by the seed."""
    cancel: bool = True
    """Whether instances are also cancelled after each commit, to see that they end."""
    processes: int = 2
    """New processes, each with another order of sets, that replay the histories of the first run."""

    def troubles(self, commits: int) -> list[Trouble]:
        """For a test of so many commits."""
        dice = Random(self.seed)
        numbers = range(1, commits + 1)
        points = [Trouble(kind, number) for number in numbers for kind in (Kind.BEFORE, Kind.AFTER)]
        cancels = [Trouble(Kind.CANCEL, number) for number in numbers] if self.cancel else []
        return [
            Trouble(Kind.EVICT),
            Trouble(Kind.TWICE),
            *some(points, self.most_points, dice),
            *some(cancels, self.most_points // 2, dice),
        ]


class Shuffles(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs `shuffle_deliveries` makes."""

    seed: int = 0
    runs: int = 50

    def troubles(self, commits: int) -> list[Trouble]:
        """Each with an order of its own."""
        return [Trouble(Kind.SHUFFLE, number) for number in range(1, self.runs + 1)]


class Hunt:
    """Of one test. Whoever takes the `runs` carries each out before taking the next."""

    def __init__(self, plan: Crashes | Shuffles) -> None:
        seed = seed_asked_for()
        self._plan = plan if seed is None else msgspec.structs.replace(plan, seed=seed)
        self._findings: dict[str, list[Trouble]] = {}
        self._repeated: dict[str, tuple[int, list[Trouble]]] = {}
        self.count = 0
        """Of runs with trouble."""

    def runs(self) -> Iterator[Run]:
        """Raises what the test raises without trouble, and TroubleFound in the end."""
        asked = Trouble.asked_for()
        first = self._run(Trouble())
        yield first
        if first.problem is not None:
            raise first.problem
        app = first.app
        if app is None or not first.histories:
            raise TroubleFound("the test starts no workflow with the tester that it is given: nothing can go wrong")
        self._take_findings(first)
        is_whole = asked is None or asked.kind is Kind.NONE
        elsewhere = self._elsewhere(app, first) if is_whole else None
        try:
            again = self._run(Trouble())
            yield again
            self._compare_again(first, again)
            for trouble in self._plan.troubles(first.commits) if asked is None else {asked} - {Trouble()}:
                run = self._run(trouble)
                yield run
                self.count += 1
                self._look_at(first, run)
        finally:
            found = {} if elsewhere is None else elsewhere.problems()
        for problem in found:
            self._find(f"in a new process, with another order of sets: {problem}", Trouble())
        self._report()

    def _run(self, trouble: Trouble) -> Run:
        return Run(trouble, self._plan.seed)

    def _elsewhere(self, app: App, first: Run) -> Elsewhere | None:
        if not isinstance(self._plan, Crashes) or not self._plan.processes:
            return None
        return Elsewhere(app, first.histories, count=self._plan.processes, seed=self._plan.seed)

    # --- looking

    def _look_at(self, first: Run, run: Run) -> None:
        self._take_findings(run)
        for name, count in run.repeated().items():
            most, troubles = self._repeated.setdefault(name, (count, []))
            self._repeated[name] = max(most, count), troubles
            troubles.append(run.trouble)
        if run.is_cancelling:
            return
        if run.problem is not None:
            self._find(f"the test fails: {_shown(run.problem)}", run.trouble)
        elif isinstance(self._plan, Crashes):
            self._compare(first, run, run.trouble)

    def _compare_again(self, first: Run, again: Run) -> None:
        why = "run once more, without any trouble (is there state in a global, or a clock?)"
        if again.problem is not None:
            self._find(f"the test fails, {why}: {_shown(again.problem)}", again.trouble)
            return
        self._compare(first, again, again.trouble, why=f", {why}")
        if isinstance(self._plan, Crashes) and first.calls != again.calls:
            missing, added = first.calls - again.calls, again.calls - first.calls
            self._find(
                f"workflows ask for other things, {why}: {_counted(added) or 'nothing'} instead of "
                f"{_counted(missing) or 'nothing'}",
                again.trouble,
            )

    def _compare(self, first: Run, run: Run, trouble: Trouble, why: str = "") -> None:
        if run.returned != first.returned:
            self._find(f"the test returns {run.returned!r} instead of {first.returned!r}{why}", trouble)
        expected, got = Counter(first.ended), Counter(run.ended)
        if expected != got:
            added, missing = _ends(got - expected), _ends(expected - got)
            self._find(
                f"workflows end differently{why}: {added or 'nothing'} instead of {missing or 'nothing'}", trouble
            )

    def _take_findings(self, run: Run) -> None:
        for finding in dict.fromkeys(run.findings):
            self._find(finding, run.trouble)

    def _find(self, text: str, trouble: Trouble) -> None:
        self._findings.setdefault(text, []).append(trouble)

    # --- telling

    def _report(self) -> None:
        texts = [
            f"activity {name} ran {most} times for one attempt (in {len(troubles)} of {self.count} runs) and isn't declared "
            "idempotent. If doing it twice is harmless, say so: @activity(idempotent=True). Else let it find out "
            f"that it was done\n  {troubles[0].command(self._plan.seed)}"
            for name, (most, troubles) in self._repeated.items()
        ]
        texts += [f"{text}\n  {self._where(troubles)}" for text, troubles in self._findings.items()]
        if not texts:
            return
        shown = "\n".join(f"- {text}" for text in texts[:_MOST_SHOWN])
        more = f"\nand {len(texts) - _MOST_SHOWN} more" if len(texts) > _MOST_SHOWN else ""
        raise TroubleFound(f"found in {self.count} runs with trouble:\n{shown}{more}")

    def _where(self, troubles: list[Trouble]) -> str:
        more = f"  (and in {len(troubles) - 1} other runs)" if len(troubles) > 1 else ""
        return f"{troubles[0].command(self._plan.seed)}{more}"


def _shown(problem: BaseException) -> str:
    lines = traceback.format_exception_only(problem)
    places = [frame for frame in traceback.extract_tb(problem.__traceback__) if "/perdure/" not in frame.filename]
    at = f" ({places[-1].filename}:{places[-1].lineno})" if places else ""
    return "".join(lines).strip() + at


def _ends(ended: Counter[Ended]) -> str:
    return ", ".join(str(each) for each in ended.elements())


def _counted(calls: Counter[str]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in calls.items())
