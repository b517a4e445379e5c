"""A run as bars over time: what began when, and how it went."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import msgspec

from perdure.clock import to_datetime
from perdure.diagnostics.look import Look
from perdure.diagnostics.reading import execution_of
from perdure.diagnostics.steps import BarKind, BarState, Step, Steps, told
from perdure.diagnostics.views.words import moment
from perdure.model.inspection import HistoryEvent, PendingActivity

__all__ = ["Bar", "BarKind", "BarState", "Timeline", "read_timeline", "timeline_of"]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """Something that took time, or a point if `begin` is `end`."""

    kind: BarKind
    state: BarState
    label: str
    begin: datetime
    end: datetime | None
    """None while it is open."""
    positions: tuple[int, ...]
    """Of its events, in order."""
    number: int | None = None
    """Of its command."""
    attempts: int | None = None
    """Of activities; while one is under way, the number of its attempt."""
    queue: str = ""
    detail: str = ""
    """A failure, a reason, when a timer was due."""
    instance_id: str = ""
    """Of a sub-workflow, and of who is signalled."""


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The bars of one execution, in the order in which they began; the first is the workflow itself."""

    bars: tuple[Bar, ...]
    first: int
    """How many were left out before."""
    total: int
    begin: datetime | None
    """None if it hasn't begun."""
    end: datetime
    """Now, while it is open."""
    is_open: bool
    problem: str = ""
    """Why no more of it can be read, if something has damaged the store; else empty."""


def timeline_of(
    events: Iterable[HistoryEvent],
    *,
    now: datetime,
    pending: Sequence[PendingActivity] = (),
    first: int = 0,
    most: int = 500,
    kinds: Collection[BarKind] | None = None,
) -> Timeline:
    """The bars of a whole history, of which `most` are given from `first` on; `total` counts those of the `kinds`."""
    steps = Steps()
    for event in events:
        steps.add(event)
    return _timeline(steps, now, pending, first, most, kinds)


async def read_timeline(
    look: Look,
    instance_id: str,
    *,
    execution_id: str | None = None,
    first: int = 0,
    most: int = 500,
    kinds: Collection[BarKind] | None = None,
) -> Timeline:
    """Of one execution, by default the current one. Raises InstanceNotFound."""
    shown = await execution_of(look.client, instance_id, execution_id)
    steps = await look.steps(instance_id, shown)
    pending = () if steps.is_ended else await look.client.activities(instance_id)
    return _timeline(steps, await look.now(), pending, first, most, kinds)


def _timeline(
    steps: Steps,
    now: datetime,
    pending: Sequence[PendingActivity],
    first: int,
    most: int,
    kinds: Collection[BarKind] | None,
) -> Timeline:
    wanted = steps.all if kinds is None else [step for step in steps.all if step.kind in kinds]
    by_number = {each.number: each for each in pending}
    begin = min((step.begin for step in steps.all[:1]), default=None)
    return Timeline(
        bars=tuple(_bar(step, by_number.get(step.number or 0)) for step in wanted[first : first + most]),
        first=first,
        total=len(wanted),
        begin=None if begin is None else to_datetime(begin),
        end=to_datetime(steps.last_at) if steps.is_ended else now,
        is_open=not steps.is_ended,
        problem=steps.problem,
    )


def _bar(step: Step, pending: PendingActivity | None) -> Bar:
    if step.kind is not BarKind.ACTIVITY or step.end is not None:
        pending = None
    failure = None if pending is None else pending.last_failure
    is_retrying = failure is not None and pending is not None and pending.worker is None
    detail = step.detail if failure is None else told(failure)
    if step.due_at is not None:
        detail = f"due {moment(to_datetime(step.due_at))}"
    return Bar(
        kind=step.kind,
        state=BarState.RETRYING if is_retrying else step.state,
        label=step.label,
        begin=to_datetime(step.begin),
        end=None if step.end is None else to_datetime(step.end),
        positions=step.positions,
        number=step.number,
        attempts=step.attempts if pending is None else pending.attempt,
        queue=step.queue,
        detail=detail,
        instance_id=step.instance_id,
    )
