"""The operations that read: each gives what a page shows."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from perdure.client.repeating import repeat
from perdure.diagnostics.actions.inputs import Input
from perdure.diagnostics.actions.table import ACTIONS, Action, ActionName, Target, TargetKind
from perdure.diagnostics.api import queries
from perdure.diagnostics.api.operations import Call, reading
from perdure.diagnostics.api.problems import Problem
from perdure.diagnostics.look import WholePayload
from perdure.diagnostics.views import history, instances, queues, run, schedules, timeline, tree, where

_MEDIA_TYPES = {"json": "application/json", "text": "text/plain; charset=utf-8", "binary": "application/octet-stream"}


class ActionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An action that there is."""

    name: ActionName
    label: str
    does: str
    kind: TargetKind
    """On what."""
    inputs: tuple[Input, ...]
    is_final: bool
    """It can't be taken back."""
    is_for_many: bool
    """A batch can do it to all instances of a filter."""


class ActionList(msgspec.Struct, frozen=True, kw_only=True):
    """Actions, in the order in which they are best offered."""

    actions: tuple[ActionFacts, ...]
    is_read_only: bool
    """Whether this server allows none of them to anybody."""


async def list_instances(call: Call[queries.InstancesQuery, None]) -> instances.InstancePage:
    """A page of instances, newest first."""
    query = call.query
    return await instances.read_instances(call.look, cursor=query.cursor, limit=query.limit, **query.filters())


async def count_instances(call: Call[queries.CountsQuery, None]) -> instances.InstanceCounts:
    """How many instances there are, by state, and how many are stuck, suspended or have waited long."""
    return await instances.read_counts(call.look, **call.query.filters())


async def get_instance(call: Call[queries.RunQuery, None]) -> run.Run:
    """One instance: facts, input, how it ended, parent and children, activities under way."""
    return await run.read_run(call.look, call.query.id, execution_id=call.query.execution)


async def get_history(call: Call[queries.HistoryQuery, None]) -> history.HistoryPage:
    """A page of an execution's events, in order."""
    query = call.query
    return await history.read_history(
        call.look,
        query.id,
        execution_id=query.execution,
        after=query.after,
        limit=query.limit,
        kinds=query.kinds or None,
        text=query.text,
    )


async def get_event(call: Call[queries.EventQuery, None]) -> history.EventRow:
    """One event."""
    query = call.query
    found = await history.read_event(call.look, query.id, query.execution, query.position)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no event {query.position} in that execution")
    return found


async def get_payload(call: Call[queries.PayloadQuery, None]) -> Response:
    """All of a payload, opened by the App's codecs, to be saved."""
    query = call.query
    found = await history.read_payload(call.look, query.id, query.execution, query.position, query.name)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"event {query.position} has no payload {query.name!r}")
    return saved(found)


async def get_timeline(call: Call[queries.TimelineQuery, None]) -> timeline.Timeline:
    """An execution as bars over time."""
    query = call.query
    return await timeline.read_timeline(
        call.look,
        query.id,
        execution_id=query.execution,
        first=query.first,
        most=query.limit,
        kinds=query.kinds or None,
    )


async def get_tree(call: Call[queries.TreeQuery, None]) -> tree.Tree:
    """An instance among those that it started and that started it."""
    return await tree.read_tree(call.look, call.query.id, most=call.query.limit)


async def get_where(call: Call[queries.WhereQuery, None]) -> where.Where:
    """Where an instance is now: what it awaits, and, if the server has the App, the line of code."""
    return await where.read_where(call.look, call.query.id, with_code=call.query.with_code)


async def list_queues(call: Call[queries.Nothing, None]) -> queues.QueuesPage:
    """Queues and workers."""
    return await queues.read_queues(call.look)


async def get_throughput(call: Call[queries.ThroughputQuery, None]) -> queues.Throughput:
    """How many instances were created and ended in the last while."""
    return await queues.read_throughput(call.look, over=timedelta(seconds=call.query.seconds), queue=call.query.queue)


async def list_schedules(call: Call[queries.SchedulesQuery, None]) -> schedules.SchedulesPage:
    """Schedules, with their last and next runs."""
    return await schedules.read_schedules(call.look, limit=call.query.limit)


async def get_schedule(call: Call[queries.InstanceQuery, None]) -> schedules.ScheduleRow:
    """One schedule, by its id."""
    return await schedules.read_schedule(call.look, call.query.id)


async def list_actions(call: Call[queries.Nothing, None]) -> ActionList:
    """All actions, allowed or not."""
    return ActionList(
        actions=tuple(facts_of(each) for each in ACTIONS.values()), is_read_only=call.services.desk.is_read_only
    )


async def list_instance_actions(call: Call[queries.InstanceQuery, None]) -> ActionList:
    """What can be done to an instance as it stands, by whoever asks."""
    desk, instance_id = call.services.desk, call.query.id
    instance = await repeat(lambda: desk.client.backend.read_instance(instance_id))
    offered = await desk.offered(call.request, Target(TargetKind.INSTANCE, instance_id), instance)
    return ActionList(actions=tuple(facts_of(each) for each in offered), is_read_only=desk.is_read_only)


def facts_of(action: Action) -> ActionFacts:
    return ActionFacts(**{name: getattr(action, name) for name in ActionFacts.__struct_fields__})


def saved(payload: WholePayload) -> Response:
    """A download: whatever it holds, no browser shows it as a page of this site."""
    return Response(
        payload.data,
        media_type=_MEDIA_TYPES[payload.kind],
        headers={"content-disposition": "attachment", "x-content-type-options": "nosniff"},
    )


OPERATIONS = (
    reading("/instances", list_instances),
    reading("/counts", count_instances),
    reading("/instance", get_instance),
    reading("/instance/history", get_history),
    reading("/instance/event", get_event),
    reading("/instance/payload", get_payload),
    reading("/instance/timeline", get_timeline),
    reading("/instance/tree", get_tree),
    reading("/instance/where", get_where),
    reading("/instance/actions", list_instance_actions),
    reading("/queues", list_queues),
    reading("/throughput", get_throughput),
    reading("/schedules", list_schedules),
    reading("/schedule", get_schedule),
    reading("/actions", list_actions),
)
