"""Going back: an execution that begins with a part of another one's history, beside it or in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from perdure.app import App
from perdure.backends.protocol import Inspection
from perdure.client.listing import read_saved
from perdure.client.repeating import repeat
from perdure.client.starting import already_exists
from perdure.clock import random_id, to_micros
from perdure.engine.execution import Execution
from perdure.engine.forking import beginning_of
from perdure.errors import ConfigurationError, InstanceNotFinished, InstanceNotFound
from perdure.model.checkpoint import Checkpoint, StartSubWorkflow
from perdure.model.event import (
    AdministrativeEvent,
    AppliedEvent,
    EndEvent,
    Event,
    ExecutionStarted,
    Origin,
    SignalReceived,
)
from perdure.model.instance import Instance, State
from perdure.model.options import IfExists, WorkflowOptions
from perdure.model.retention import chosen
from perdure.model.transition import Created, CreateInstance, Existing, FirstStep
from perdure.serialization.saved import SavedHistory, task_of


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone back in."""

    instance: Instance
    history: SavedHistory
    length: int
    """How much of the history is kept."""


async def read_source(store: Inspection, instance_id: str, at_event: int | None) -> Source:
    """Raises InstanceNotFound, ConfigurationError."""
    instance = await repeat(partial(store.read_instance, instance_id))
    history = await read_saved(store, instance, instance.execution_id)
    return Source(instance=instance, history=history, length=_length_up_to(history, at_event))


async def beside(store: Inspection, source: Source, app: App | None, new_id: str) -> CreateInstance:
    """What a fork asks of the store. Raises what `_beginning` does."""
    asked = _beginning(source.history, source.length, app, new_id, IfExists.RAISE, source.instance.tags)
    await _check_children(store, asked, may_replace=False)
    return asked


async def from_elsewhere(store: Inspection, history: SavedHistory, app: App | None, new_id: str) -> CreateInstance:
    """What is asked of the store so that a running instance's history goes on in it, whole."""
    asked = _beginning(
        history, _without_operators(history.events, len(history.events)), app, new_id, IfExists.RAISE, {}
    )
    await _check_children(store, asked, may_replace=False)
    return asked


async def in_place(store: Inspection, source: Source, app: App | None) -> CreateInstance:
    """What a rewind asks of the store."""
    instance_id = source.instance.instance_id
    if source.instance.state is State.RUNNING:
        raise InstanceNotFinished(
            f"instance {instance_id!r} is still running: terminate it first, or fork it", instance_id
        )
    if source.instance.state is State.COMPLETED:
        raise ConfigurationError(f"instance {instance_id!r} ended with a result, which stays: fork it instead")
    asked = _beginning(source.history, source.length, app, instance_id, IfExists.RESTART_FAILED, source.instance.tags)
    await _check_children(store, asked, may_replace=True)
    return asked


def check_created(asked: CreateInstance, found: Created | Existing) -> None:
    """Raises InstanceAlreadyExists."""
    if isinstance(found, Existing):
        raise already_exists(asked, found, WorkflowOptions(if_exists=asked.if_exists))


def signals_after(source: Source) -> list[SignalReceived]:
    """What was sent to the instance, and isn't in the part that is kept."""
    return [
        msgspec.structs.replace(event, at=0)
        for event in source.history.events[source.length :]
        if isinstance(event, SignalReceived)
    ]


def _length_up_to(history: SavedHistory, at_event: int | None) -> int:
    """How much of the history is kept: the event and what it led to; without one, all but the event that led to the end.

    Raises ConfigurationError.
    """
    events = history.events
    begins = [place for place, event in enumerate(events) if isinstance(event, AppliedEvent)]
    if at_event is None:
        has_end = any(isinstance(event, EndEvent) for event in events)
        return _without_operators(events, begins[-1] if has_end and begins else len(events))
    if not 0 <= at_event < len(events):
        raise ConfigurationError(
            f"{history.instance_id!r} has {len(events)} events: at_event takes 0 to {len(events) - 1}, not {at_event}"
        )
    kept = next((place for place in begins if place > at_event), len(events))
    if any(isinstance(event, EndEvent) for event in events[:kept]):
        raise ConfigurationError(f"event {at_event} of {history.instance_id!r} led to its end: take an earlier one")
    return _without_operators(events, kept)


def _without_operators(events: Sequence[Event], length: int) -> int:
    """Without what operators or the store wrote last, the end by their hand for one."""
    while length and isinstance(events[length - 1], AdministrativeEvent):
        length -= 1
    return length


def _beginning(
    history: SavedHistory,
    length: int,
    app: App | None,
    instance_id: str,
    if_exists: IfExists,
    tags: Mapping[str, str],
) -> CreateInstance:
    """Raises NonDeterminismError, ConfigurationError."""
    if app is None:
        raise ConfigurationError("to go on from a history, a client needs the code: Client(store, app)")
    started = history.started
    if started is None:
        raise ConfigurationError(f"instance {history.instance_id!r} never began: start it anew")
    checkpoint = _checkpoint(history, length, app) if length else None
    definition = app.workflows.get(history.workflow)
    return CreateInstance(
        request_id=random_id(),
        instance_id=instance_id,
        execution_id=random_id(),
        workflow=history.workflow,
        queue=history.queue,
        started=msgspec.structs.replace(started, origins=()),
        digest=app.payloads.digest(started.arguments),
        priority=history.priority,
        version=history.version,
        tags=dict(tags),
        retention=chosen(None if definition is None else definition.options.retention, app.retention),
        if_exists=if_exists,
        first_step=None if checkpoint is None else FirstStep(checkpoint=checkpoint, offer=None, release=True),
    )


def _checkpoint(history: SavedHistory, length: int, app: App) -> Checkpoint:
    definition = app.workflows.get(history.workflow)
    if definition is None:
        raise ConfigurationError(f"this client's App has no workflow {history.workflow!r}")
    execution = Execution(task_of(history), definition, app)
    try:
        checkpoint = beginning_of(execution, history.events[:length], random_id)
    finally:
        execution.close()
    return msgspec.structs.replace(checkpoint, events=with_origin(checkpoint.events, history, length))


def with_origin(events: Sequence[Event], history: SavedHistory, length: int) -> tuple[Event, ...]:
    """The events for another execution, whose code is told in a replay up to `length` what it was told in this one."""
    place, first = next((place, event) for place, event in enumerate(events) if isinstance(event, ExecutionStarted))
    earlier = [origin for origin in first.origins if origin.until < length]
    posed = next((origin for origin in first.origins if origin.until >= length), None)
    last = msgspec.structs.replace(posed, until=length) if posed else _origin(history, length)
    return (*events[:place], msgspec.structs.replace(first, origins=(*earlier, last)), *events[place + 1 :])


def _origin(history: SavedHistory, length: int) -> Origin:
    return Origin(
        until=length,
        instance_id=history.instance_id,
        execution_id=bytes.fromhex(history.execution_id),
        created_at=to_micros(history.created_at),
        deadline_at=None if history.deadline_at is None else to_micros(history.deadline_at),
        parent_instance_id=None if history.parent is None else history.parent.instance_id,
    )


async def _check_children(store: Inspection, asked: CreateInstance, *, may_replace: bool) -> None:
    """Sub-workflows that it begins again have the ids of others, which must have made way, or be about to."""
    messages = () if asked.first_step is None else asked.first_step.checkpoint.messages
    standing: list[str] = []
    for name in [each.instance_id for each in messages if isinstance(each, StartSubWorkflow)]:
        try:
            state = (await repeat(partial(store.read_instance, name))).state
        except InstanceNotFound:
            continue
        if not may_replace or state in (State.RUNNING, State.COMPLETED):
            standing.append(f"{name!r} ({state})")
    if standing:
        raise ConfigurationError(
            f"sub-workflows that would have to begin again are still there: {', '.join(standing)}. Take an event before they were "
            "started or after they had ended, or remove them first"
        )
