"""Where an instance is now: what it awaits, and in which line of its code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from perdure.clock import to_datetime
from perdure.diagnostics.look import Look
from perdure.diagnostics.replaying import Replayed
from perdure.diagnostics.steps import BarKind, Step, Steps
from perdure.diagnostics.views.instances import facts_of
from perdure.diagnostics.views.run import standing_of
from perdure.diagnostics.views.words import moment
from perdure.engine.whereabouts import Place
from perdure.errors import InstanceNotFound
from perdure.model.inspection import PendingActivity
from perdure.model.instance import Instance
from perdure.observability.advice import advice_for

CodeFound = Literal[
    "shown", "not asked", "no app", "ended", "unknown workflow", "differs", "failed", "too large", "too slow"
]


class Awaited(msgspec.Struct, frozen=True, kw_only=True):
    """A command that has no answer yet. Workflow code needn't be waiting for all of them."""

    kind: BarKind
    number: int | None
    """Of its command; an update has none yet."""
    label: str
    since: datetime
    position: int
    """Of the command in history."""
    due_at: datetime | None = None
    """Of a timer, and of an activity's next attempt."""
    instance_id: str = ""
    """Of a sub-workflow, and of who is signalled."""
    standing: str = ""
    """How the sub-workflow stands, or the activity, whose end may be there already, not taken up yet: `ended`."""


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Where the current execution is."""

    summary: str
    """One sentence: what it waits for, or why it doesn't go on."""
    awaited: tuple[Awaited, ...]
    """Those that began first come first."""
    awaited_left_out: int
    code: CodeFound
    """Whether its code was replayed to where it is. `differs`: it doesn't repeat the history."""
    places: tuple[Place, ...]
    """Of each task of the workflow the line that it waits in; the first is `main`."""
    problem: str
    """What went wrong with the replay, in words; else empty."""


async def read_where(
    look: Look, instance_id: str, *, with_code: bool = True, most: int = 50, seconds: float = 5.0
) -> Where:
    """What it awaits, from its history; with an App, its code is replayed as well, for so many seconds at most.

    Replay runs workflow code up to where it is, and no activity. Raises InstanceNotFound.
    """
    instance = await look.client.info(instance_id)
    steps = await look.steps(instance_id, instance.execution_id)
    open_steps = steps.open()
    activities = {each.number: each for each in await look.client.activities(instance_id)} if open_steps else {}
    awaited = tuple([await _awaited(look, step, activities) for step in open_steps[:most]])
    code, replayed = await _replay(look, instance, seconds) if with_code else ("not asked", None)
    places = () if replayed is None else replayed.places
    return Where(
        summary=_summary(instance, steps, awaited, places, await look.now()),
        awaited=awaited,
        awaited_left_out=max(0, len(open_steps) - most),
        code=code,
        places=places,
        problem="" if replayed is None else replayed.problem,
    )


async def _replay(look: Look, instance: Instance, seconds: float) -> tuple[CodeFound, Replayed | None]:
    if instance.state.is_ended:
        return "ended", None
    if look.replays is None:
        return "no app", None
    replayed = await look.replays.replay(instance, seconds)
    return replayed.code, replayed


async def _awaited(look: Look, step: Step, activities: Mapping[int, PendingActivity]) -> Awaited:
    pending = activities.get(step.number or 0) if step.kind is BarKind.ACTIVITY else None
    due_at = None if step.due_at is None else to_datetime(step.due_at)
    standing = ""
    if step.kind is BarKind.ACTIVITY:
        standing = "ended" if pending is None else standing_of(pending)
    elif step.kind is BarKind.SUB_WORKFLOW:
        standing = await _standing(look, step.instance_id)
    return Awaited(
        kind=step.kind,
        number=step.number,
        label=step.label,
        since=to_datetime(step.begin),
        position=step.positions[0],
        due_at=due_at if pending is None else pending.due_at,
        instance_id=step.instance_id,
        standing=standing,
    )


async def _standing(look: Look, instance_id: str) -> str:
    try:
        return facts_of(await look.client.info(instance_id)).standing
    except InstanceNotFound:
        return "not there"


def _summary(
    instance: Instance, steps: Steps, awaited: Sequence[Awaited], places: Sequence[Place], now: datetime
) -> str:
    if instance.state.is_ended:
        return f"It has ended: {instance.state.value.replace('_', ' ')}."
    if instance.stuck is not None:
        again = "until it is resumed"
        if instance.stuck.retry_at is not None:
            again = f"and is tried again at {moment(instance.stuck.retry_at)}"
        return f"It is stuck {again}: {advice_for(instance.stuck).brief}."
    if instance.suspended:
        return "It is suspended: nothing new of it begins until it is resumed."
    if instance.worker is None and instance.due_at is not None and instance.due_at <= now:
        return f"It has something to do, and waits for a worker that serves queue {instance.queue}."
    if not steps.all:
        return "It hasn't begun." if instance.due_at is None else f"It begins at {moment(instance.due_at)}."
    return _waiting(awaited, places)


def _waiting(awaited: Sequence[Awaited], places: Sequence[Place]) -> str:
    others = f", and {len(awaited) - 1} more" if len(awaited) > 1 else ""
    under_way = f"Under way: {_in_words(awaited[0])}{others}." if awaited else ""
    if places:
        place = places[0]
        waits_for = f" for {place.waits_for}" if place.waits_for else ""
        return f"It waits{waits_for} in {place.function}, line {place.line}. {under_way}".rstrip()
    if awaited:
        return f"{under_way} It may also wait for a signal, an update or a condition."
    return "It waits for a signal, an update or a condition."


def _in_words(awaited: Awaited) -> str:
    match awaited.kind:
        case BarKind.TIMER:
            return "a timer" if awaited.due_at is None else f"a timer that is due at {moment(awaited.due_at)}"
        case BarKind.SIGNAL_SENT:
            return f"signal {awaited.label} to {awaited.instance_id}"
        case _:
            standing = f" ({awaited.standing})" if awaited.standing else ""
            return f"{awaited.kind.value.replace('_', '-')} {awaited.label}{standing}"
