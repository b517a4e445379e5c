"""One instance: facts, input, how it ended, what belongs to it, and what of it is under way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from perdure.client.repeating import repeat
from perdure.diagnostics.look import Look, Payload, ShownFailure
from perdure.diagnostics.reading import no_execution, read_events
from perdure.diagnostics.views.instances import InstanceFacts, facts_of
from perdure.errors import InstanceNotFound, StoreCorrupt
from perdure.model.event import ExecutionStarted
from perdure.model.inspection import PendingActivity
from perdure.model.instance import Execution, Instance, State

_LONGEST_CHAIN = 100
_BEFORE_START = 20


class ChainLink(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of the chain that continue-as-new makes."""

    execution_id: str
    number: int
    state: State
    started_at: datetime
    ended_at: datetime | None
    history_length: int
    is_current: bool
    """Whether it is the last one."""
    is_shown: bool
    """Whether this run's input, ending and history are of it."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How the execution that is shown ended."""

    state: State
    result: Payload | None = None
    failure: ShownFailure | None = None
    reason: str = ""
    """What whoever terminated it said."""


class PendingStep(msgspec.Struct, frozen=True, kw_only=True):
    """An activity that hasn't ended."""

    number: int
    """Of its command: `retry_activity` takes it."""
    name: str
    queue: str
    standing: Literal["waiting", "running", "retrying", "outside"]
    """`retrying` waits for its next attempt; the end of one that is `outside` comes by its token."""
    attempt: int
    due_at: datetime
    """When the attempt is due, or was."""
    worker: str | None
    last_failure: ShownFailure | None
    heartbeat: Payload | None
    """What it told of itself last."""
    lost: int
    """Attempts in a row that were lost with their workers; the fifth fails it."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Everything on an instance's page but timeline, history and whereabouts."""

    facts: InstanceFacts
    execution_id: str
    """The execution that is shown."""
    workflow: str
    """Of that execution: continue-as-new may go on as another one."""
    input: Payload | None
    """Arguments as a JSON array, in the parameters' order."""
    input_position: int | None
    """Of the event that holds it; None before its first step is recorded, until when it stands in the instance's row."""
    problem: str
    """Why its beginning can't be read, if something has damaged the store; else empty."""
    forked_from: str
    """The instance whose history this one begins with, after a fork or rewind; else empty."""
    forked_at: int | None
    """Where in this history its own part begins."""
    ending: Ending | None
    """None while it runs."""
    chain: tuple[ChainLink, ...]
    """Oldest first; of a long one the last hundred."""
    chain_length: int
    parent: InstanceFacts | None
    """None if there is none, or if it was removed; `facts.parent_id` is its id then."""
    children: tuple[InstanceFacts, ...]
    """Newest first."""
    has_more_children: bool
    activities: tuple[PendingStep, ...]
    """Of the current execution."""
    now: datetime


async def read_run(look: Look, instance_id: str, *, execution_id: str | None = None, children: int = 50) -> Run:
    """The instance, as seen in one of its executions, by default the current one. Raises InstanceNotFound."""
    client = look.client
    instance = await client.info(instance_id)
    executions = await client.executions(instance_id)
    shown = _shown(instance_id, executions, execution_id)
    is_current = shown.execution_id == executions[-1].execution_id
    beginning = await _beginning(look, instance_id, shown.execution_id, is_current=is_current)
    started = beginning.started
    origin = started.origins[-1] if started is not None and started.origins else None
    below = await client.page(parent_instance_id=instance_id, limit=children)
    now = await look.now()
    return Run(
        facts=facts_of(instance),
        execution_id=shown.execution_id,
        workflow=instance.workflow if started is None else started.workflow,
        input=None if beginning.arguments is None else look.payload(beginning.arguments),
        input_position=beginning.position,
        problem=beginning.problem,
        forked_from="" if origin is None else origin.instance_id,
        forked_at=None if origin is None else origin.until,
        ending=await _ending(look, instance_id, shown, is_current=is_current),
        chain=tuple(_link(each, executions[-1], shown) for each in executions[-_LONGEST_CHAIN:]),
        chain_length=len(executions),
        parent=await _parent(look, instance),
        children=tuple(facts_of(each) for each in below.items),
        has_more_children=below.cursor is not None,
        activities=tuple([_pending(look, each) for each in await client.activities(instance_id)]),
        now=now,
    )


def _shown(instance_id: str, executions: Sequence[Execution], execution_id: str | None) -> Execution:
    if execution_id is None:
        return executions[-1]
    for each in executions:
        if each.execution_id == execution_id:
            return each
    raise no_execution(instance_id, execution_id)


class _Beginning(msgspec.Struct, frozen=True, kw_only=True):
    started: ExecutionStarted | None = None
    position: int | None = None
    arguments: bytes | None = None
    problem: str = ""


async def _beginning(look: Look, instance_id: str, execution_id: str, *, is_current: bool) -> _Beginning:
    """Operators may have written something before it."""
    store = look.client.backend
    try:
        for each in await read_events(look.client, instance_id, execution_id, after=-1, limit=_BEFORE_START):
            if isinstance(each.event, ExecutionStarted):
                return _Beginning(started=each.event, position=each.position, arguments=each.event.arguments)
        if is_current:  # no step of it was taken yet
            return _Beginning(arguments=await repeat(lambda: store.read_arguments(instance_id)))
    except StoreCorrupt as problem:
        return _Beginning(problem=str(problem))
    return _Beginning()


async def _ending(look: Look, instance_id: str, shown: Execution, *, is_current: bool) -> Ending | None:
    if not is_current:
        return Ending(state=shown.state)
    outcome = await repeat(lambda: look.client.backend.read_outcome(instance_id))
    if outcome is None:
        return None
    return Ending(
        state=outcome.state,
        result=None if outcome.result is None else look.payload(outcome.result),
        failure=None if outcome.failure is None else look.failure(outcome.failure),
        reason=outcome.reason,
    )


def _link(each: Execution, current: Execution, shown: Execution) -> ChainLink:
    return ChainLink(
        execution_id=each.execution_id,
        number=each.number,
        state=each.state,
        started_at=each.started_at,
        ended_at=each.ended_at,
        history_length=each.history_length,
        is_current=each is current,
        is_shown=each is shown,
    )


async def _parent(look: Look, instance: Instance) -> InstanceFacts | None:
    if instance.parent is None:
        return None
    try:
        return facts_of(await look.client.info(instance.parent.instance_id))
    except InstanceNotFound:
        return None


def _pending(look: Look, each: PendingActivity) -> PendingStep:
    return PendingStep(
        number=each.number,
        name=each.name,
        queue=each.queue,
        standing=standing_of(each),
        attempt=each.attempt,
        due_at=each.due_at,
        worker=each.worker,
        last_failure=None if each.last_failure is None else look.failure(each.last_failure),
        heartbeat=None if each.heartbeat_details is None else look.payload(each.heartbeat_details),
        lost=each.lost,
    )


def standing_of(each: PendingActivity) -> Literal["waiting", "running", "retrying", "outside"]:
    """As in `PendingStep`."""
    if each.is_open:
        return "outside"
    if each.worker is not None:
        return "running"
    return "waiting" if each.last_failure is None else "retrying"
