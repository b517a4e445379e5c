"""A saved history as an instance of a store: to be looked at, replayed, asked and gone back in, or to run on.

A history has what happened, not what is under way. So one that has ended is all there, while of one that hasn't, activities, sub-workflows
and what was sent and not yet applied are missing. Two things can be made of that: an instance that stands still, and says so;
or, with the code, one that goes on as a fork does: what hadn't ended begins again.

An instance under its own id has its own execution, to the byte. Whatever gets another id, or may run on, is an execution of its own
that remembers whose history it has (`ExecutionStarted.origins`): ids of messages are made of an execution's id.
"""

from __future__ import annotations

import msgspec

from perdure.backends.exports import EventsRecord, ExecutionRecord, InstanceRecord, Snapshot, to_exported
from perdure.client import forking
from perdure.client.client import Client
from perdure.client.repeating import repeat
from perdure.clock import Micros, random_id, to_micros
from perdure.errors import ConfigurationError, DecodeError, InstanceAlreadyExists, InstanceNotFound
from perdure.model.event import (
    AdministrativeEvent,
    AppliedEvent,
    DeadlinePassed,
    Event,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionContinued,
    ExecutionFailed,
    ExecutionStarted,
    Terminated,
)
from perdure.model.instance import Outcome, State
from perdure.model.names import check_name
from perdure.model.options import ParentClose
from perdure.serialization.events import encode_events
from perdure.serialization.payloads import Payloads
from perdure.serialization.saved import SavedHistory

STANDS_STILL = (
    "it was imported to be looked at: what was under way when its history was saved isn't here, so it wouldn't go on. To let it run on, "
    "terminate and remove it, then `perdure history import --run-on`"
)
_EVENTS_A_ROW = 200
_KEPT_ENDS = (ExecutionCompleted, ExecutionFailed, ExecutionCancelled, Terminated, DeadlinePassed)


async def import_history(
    client: Client, history: SavedHistory, *, new_id: str | None = None, runs_on: bool = False
) -> State:
    """Make an instance of the history, under its id or a new one; how it stands then.

    With `runs_on` the client needs the App. Raises InstanceAlreadyExists, ConfigurationError for a history that can't become one,
    DecodeError, NonDeterminismError.
    """
    instance_id = check_name(new_id or history.instance_id, "an instance id")
    started, ending = _checked(history, runs_on=runs_on)
    if runs_on:
        asked = await forking.from_elsewhere(client.backend, history, client._app, instance_id)
        forking.check_created(asked, await client._commit(asked))
        return State.RUNNING
    await _refuse_taken(client, instance_id)
    snapshot = _snapshot(history, started, ending, instance_id, client._payloads)
    store = client._outside()
    await repeat(lambda: store.import_instance(to_exported(snapshot)))
    return snapshot.instance.state


def _checked(history: SavedHistory, *, runs_on: bool) -> tuple[ExecutionStarted, Outcome | None]:
    """How it began, and how it ended if it has."""
    name = f"the history of {history.instance_id!r}"
    started = history.started
    if started is None:
        raise ConfigurationError(f"{name} has no beginning: no worker had seen the instance yet. Start it anew")
    if any(isinstance(event, ExecutionContinued) for event in history.events):
        raise ConfigurationError(
            f"{name} is of an execution that continued as new, and so of no end of an instance. Export the current one; this one can be "
            "replayed and debugged from its file"
        )
    ending = next((_outcome(history, event) for event in history.events if isinstance(event, _KEPT_ENDS)), None)
    if runs_on and ending is not None:
        raise ConfigurationError(
            f"{name} has an end ({ending.state}), so it can't run on. Import it as it is; then fork it, or rewind it"
        )
    return started, ending


def _outcome(history: SavedHistory, end: Event) -> Outcome:
    state, result, failure, reason = State.CANCELLED, None, None, ""
    match end:
        case ExecutionCompleted():
            state, result = State.COMPLETED, end.result
        case ExecutionFailed() | DeadlinePassed():
            state, failure = State.FAILED, end.failure
        case Terminated():
            state, reason = State.TERMINATED, end.reason
        case _:
            pass
    return Outcome(
        instance_id=history.instance_id,
        workflow=history.workflow,
        state=state,
        result=result,
        failure=failure,
        reason=reason,
    )


async def _refuse_taken(client: Client, instance_id: str) -> None:
    """Said here, for to the store the same execution twice is once."""
    try:
        state = await client.state(instance_id)
    except InstanceNotFound:
        return
    raise InstanceAlreadyExists(
        f"instance {instance_id!r} is in this store already ({state}): give the import another id (--id), or remove that one",
        instance_id,
    )


def _snapshot(
    history: SavedHistory, started: ExecutionStarted, ending: Outcome | None, instance_id: str, payloads: Payloads
) -> Snapshot:
    is_itself = ending is not None and instance_id == history.instance_id
    events = history.events if is_itself else forking.with_origin(history.events, history, len(history.events))
    execution_id = _id_of(history) if is_itself else random_id()
    rows = [
        EventsRecord(
            execution_id=execution_id, position=place, events=encode_events(events[place : place + _EVENTS_A_ROW])
        )
        for place in range(0, len(events), _EVENTS_A_ROW)
    ]
    record = _standing_still(history, started, instance_id, _digest(started, payloads))
    record = msgspec.structs.replace(
        record, execution_id=execution_id, position=len(events), history_bytes=sum(len(row.events) for row in rows)
    )
    if ending is not None:
        record = _ended(record, ending)
    if is_itself:  # no deadline and no parent for others: that one has been told of the end
        deadline = history.deadline_at
        record = msgspec.structs.replace(
            record, parent=history.parent, deadline_at=None if deadline is None else to_micros(deadline)
        )
    execution = ExecutionRecord(
        execution_id=execution_id,
        number=started.execution_number,
        state=record.state,
        started_at=started.at,
        ended_at=record.ended_at,
        history_length=len(events),
    )
    return Snapshot(
        instance=record,
        executions=[execution],
        events=rows,
        pending=[],
        activities=[],
        published=[],
        receipts=[],
        blobs=[],
    )


def _standing_still(
    history: SavedHistory, started: ExecutionStarted, instance_id: str, digest: bytes
) -> InstanceRecord:
    created_at = to_micros(history.created_at)
    return InstanceRecord(
        instance_id=instance_id,
        execution_id=b"",
        request_id=random_id(),
        workflow=history.workflow,
        created_workflow=history.workflow,
        created_digest=digest,
        digest=digest,
        queue=history.queue,
        priority=history.priority,
        version=history.version,
        state=State.RUNNING,
        tags={},
        created_at=created_at,
        updated_at=max([created_at, *_times(history.events)]),
        ended_at=None,
        deadline_at=None,
        parent=None,
        parent_close=ParentClose.ABANDON,
        started=started,
        is_fresh=False,
        position=0,
        history_bytes=0,
        next_pending_id=1,
        wake_at=None,
        suspended=True,
        stuck_reason=STANDS_STILL,
        stuck_attempts=0,
        lost=0,
        result=None,
        failure=None,
        reason="",
    )


def _ended(record: InstanceRecord, ending: Outcome) -> InstanceRecord:
    return msgspec.structs.replace(
        record,
        state=ending.state,
        ended_at=record.updated_at,
        suspended=False,
        stuck_reason=None,
        result=ending.result,
        failure=ending.failure,
        reason=ending.reason,
    )


def _times(events: tuple[Event, ...]) -> list[Micros]:
    return [event.at for event in events if isinstance(event, AppliedEvent | AdministrativeEvent)]


def _id_of(history: SavedHistory) -> bytes:
    try:
        return bytes.fromhex(history.execution_id)
    except ValueError as problem:
        raise DecodeError(f"{history.execution_id!r} isn't the id of an execution: {problem}") from problem


def _digest(started: ExecutionStarted, payloads: Payloads) -> bytes:
    """Of arguments that codecs keep closed, one that no other call has: a start with `if_exists=use` then looks at them itself."""
    try:
        return payloads.digest(started.arguments)
    except DecodeError:
        return random_id()
