"""Medians over the rounds, ratios to the peers, and whether targets are met."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from benchmarks.case import Case, Measure, Target
from benchmarks.outcome import Contestant, Outcome
from benchmarks.peers.published import PUBLISHED


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A target, what there is to compare with it, and the outcome."""

    wanted: str
    value: float
    is_met: bool


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that wasn't made in this run, and how many times as good as its better end we are."""

    who: str
    least: float
    most: float
    times: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one contestant."""

    case: str
    figure: str
    unit: str
    is_more_better: bool
    contestant: str
    is_peer: bool
    median: float
    least: float
    most: float
    runs: int
    times_ours: float | None = None
    """Of a peer, how many times as good as it we are, on the store that promises as much."""
    times_ours_on: str = ""
    verdicts: tuple[Verdict, ...] = ()
    not_run_here: tuple[Beside, ...] = ()

    @property
    def spread(self) -> float:
        """Half of the range, as a share of the median."""
        return (self.most - self.least) / 2 / self.median if self.median else 0.0


def summarize(cases: Sequence[Case], contestants: Sequence[Contestant], outcomes: Sequence[Outcome]) -> list[Row]:
    """A row for each measure of each case and each contestant that has it."""
    rows: list[Row] = []
    for case in cases:
        of_case = [outcome for outcome in outcomes if outcome.case == case.name]
        for measure in case.measures:
            rows += _rows(case, measure, contestants, of_case)
    return rows


def _rows(case: Case, measure: Measure, contestants: Sequence[Contestant], outcomes: Sequence[Outcome]) -> list[Row]:
    values = {
        each.name: found
        for each in contestants
        if (
            found := [
                o.figures[measure.figure] for o in outcomes if o.contestant == each.name and measure.figure in o.figures
            ]
        )
    }
    medians = {name: statistics.median(found) for name, found in values.items()}
    ours = {each.store: medians[each.name] for each in contestants if _is_plain(each) and each.name in medians}
    return [
        Row(
            case=case.name,
            figure=measure.figure,
            unit=measure.unit,
            is_more_better=measure.is_more_better,
            contestant=each.name,
            is_peer=each.is_peer,
            median=medians[each.name],
            least=min(values[each.name]),
            most=max(values[each.name]),
            runs=len(values[each.name]),
            times_ours=_times(measure, ours.get(each.beside), medians[each.name]) if each.is_peer else None,
            times_ours_on=each.beside if each.is_peer else "",
            verdicts=_verdicts(measure, each, medians),
            not_run_here=_not_run_here(case, measure, each, medians[each.name]),
        )
        for each in contestants
        if each.name in values
    ]


def _times(measure: Measure, ours: float | None, peers: float) -> float | None:
    """How many times as good as the peer we are, whichever direction is better."""
    if ours is None:
        return None
    above, below = (ours, peers) if measure.is_more_better else (peers, ours)
    return above / below if below else None


def _not_run_here(case: Case, measure: Measure, contestant: Contestant, ours: float) -> tuple[Beside, ...]:
    if not _is_plain(contestant):
        return ()
    found = []
    for each in PUBLISHED:
        if (each.case, each.figure, each.store) == (case.name, measure.figure, contestant.store):
            times = _times(measure, ours, each.best(is_more_better=measure.is_more_better))
            if times is not None:
                found.append(Beside(who=each.who, least=each.least, most=each.most, times=times))
    return tuple(found)


def _is_plain(contestant: Contestant) -> bool:
    """Whether it is perdure on a store as it is by default: a URL with options is another set-up."""
    return contestant.name == f"perdure, {contestant.store}"


def _verdicts(measure: Measure, contestant: Contestant, medians: dict[str, float]) -> tuple[Verdict, ...]:
    found = (_verdict(measure, target, contestant, medians) for target in measure.targets)
    return tuple(verdict for verdict in found if verdict is not None)


def _verdict(measure: Measure, target: Target, contestant: Contestant, medians: dict[str, float]) -> Verdict | None:
    """None if the target isn't about this contestant, or its peer didn't run."""
    if contestant.store != target.store or not _is_plain(contestant):
        return None
    value: float | None = medians[contestant.name]
    sign = "≥" if measure.is_more_better else "≤"
    wanted = f"{sign} {target.bound:,g} {measure.unit}"
    if target.times_peer:
        if target.times_peer not in medians:
            return None
        value = _times(measure, value, medians[target.times_peer])
        wanted = f"≥ {target.bound:g} × {target.times_peer}"
        return None if value is None else Verdict(wanted=wanted, value=value, is_met=value >= target.bound)
    assert value is not None
    return Verdict(wanted=wanted, value=value, is_met=measure.reaches(value, target.bound))
