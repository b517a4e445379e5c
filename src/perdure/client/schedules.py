"""Schedules, as their owners see them. Behind each is an instance of a workflow of perdure's own (workflows/scheduling.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from perdure.backends.weight import read_arguments
from perdure.client.handle import Handle
from perdure.client.identity import draw_instance_id
from perdure.client.repeating import repeat
from perdure.clock import Clock, Micros, duration_micros, random_id
from perdure.errors import ConfigurationError, InstanceAlreadyExists, InstanceNotFound, ScheduleNotFound
from perdure.model.event import ExecutionStarted
from perdure.model.instance import State
from perdure.model.names import DEFAULT_QUEUE
from perdure.model.options import IfExists, Retention, WorkflowOptions
from perdure.model.retention import chosen
from perdure.model.retry import stored_retry
from perdure.model.schedule import Schedule
from perdure.model.transition import CreateInstance
from perdure.serialization.calls import EncodedCall
from perdure.workflows.definition import Workflow
from perdure.workflows.runtime import StoredCall
from perdure.workflows.scheduling import (
    CHANGE,
    PLAN,
    STATUS,
    WORKFLOW,
    Change,
    Plan,
    ScheduleStatus,
    SetPaused,
    SetPlan,
    Standing,
    Target,
    keep_schedule,
    status_of,
)

if TYPE_CHECKING:
    from perdure.client.client import Client

KEEPER_PREFIX = "schedule:"
"""Before a schedule's id it makes the id of the instance that keeps it."""
_ALONE = ("queue", "priority", "timeout", "tags", "retry", "retention")
"""The options that make sense for runs that a schedule starts."""


class ScheduleHandle:
    """One schedule, by its id; there need not be one (yet). What changes it is durable when it returns, and takes effect at once."""

    __slots__ = ("_client", "_clock", "id")

    def __init__(self, client: Client, schedule_id: str, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self.id: str = schedule_id

    async def status(self) -> ScheduleStatus:
        """How it stands. Until a worker has seen a new schedule, nothing is due. Raises ScheduleNotFound."""
        try:
            status = await self._client.read(_instance_id(self.id), STATUS, ScheduleStatus, None)
        except InstanceNotFound:
            raise self._nobody() from None
        return status or status_of(await self._plan(), Standing(anchor=0, looked_at=0), None)

    async def pause(self) -> None:
        """Let nothing start until `resume`; runs go on. Raises ScheduleNotFound."""
        await self._change(SetPaused(True))

    async def resume(self) -> None:
        """Undo `pause`. What was due meanwhile isn't caught up on. Raises ScheduleNotFound."""
        await self._change(SetPaused(False))

    async def trigger(self) -> Handle[Any]:
        """Start a run now, beside any other one, paused or not; it isn't counted among those that were due. Raises ScheduleNotFound."""
        instance_id = f"{self.id}@{draw_instance_id(self._clock)}"
        asked = _creation(await self._plan(), instance_id, self._clock.now(), self._client._sending.headers())
        await self._client._create(asked)
        return self._client.handle(asked.instance_id)

    async def delete(self) -> None:
        """Remove the schedule; what it has started goes on. Raises ScheduleNotFound."""
        instance_id = _instance_id(self.id)
        try:
            if not (await self._client.state(instance_id)).is_ended:
                await self._client.terminate(instance_id, "the schedule was deleted")
            await self._client.remove(instance_id)
        except InstanceNotFound:
            raise self._nobody() from None

    async def _plan(self) -> Plan:
        """As it was followed last, or, before any worker has seen it, as it was made."""
        client, instance_id = self._client, _instance_id(self.id)
        try:
            plan = await client.read(instance_id, PLAN, Plan, None)
            if plan is None:
                arguments = await repeat(lambda: read_arguments(client.backend, instance_id))
                (plan, *_), _ = client._payloads.call(keep_schedule.function, skip=1).decode(arguments)
        except InstanceNotFound:
            raise self._nobody() from None
        return plan

    async def _change(self, change: Change) -> None:
        try:
            await self._client.signal(_instance_id(self.id), CHANGE, change)
        except InstanceNotFound:
            raise self._nobody() from None

    def _nobody(self) -> ScheduleNotFound:
        return ScheduleNotFound(
            f"there is no schedule {self.id!r} in this store: client.schedule(Schedule({self.id!r}, …), workflow) makes one, and "
            f"client.schedules.list() gives those that there are",
            _instance_id(self.id),
        )

    def __repr__(self) -> str:
        return f"<handle of schedule {self.id!r}>"


class Schedules:
    """The schedules of a store: `client.schedules`."""

    __slots__ = ("_client", "_clock")

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    def handle(self, schedule_id: str) -> ScheduleHandle:
        """A handle from an id. The store isn't asked."""
        return ScheduleHandle(self._client, schedule_id, self._clock)

    async def list(self) -> AsyncIterator[ScheduleStatus]:
        """Every schedule that isn't over, the newest first."""
        async for instance in self._client.list(workflow=WORKFLOW, states=[State.RUNNING]):
            try:
                yield await self.handle(instance.instance_id.removeprefix(KEEPER_PREFIX)).status()
            except ScheduleNotFound:
                continue  # it was deleted meanwhile


async def put_schedule(
    client: Client, schedule: Schedule, workflow: Workflow[..., Any], call: EncodedCall
) -> ScheduleHandle:
    """Make it, or have the one of this id follow what is said here from now on. Raises ConfigurationError."""
    app = client._app
    version, retention = (None, None) if app is None else (app.version, app.retention)
    plan = _plan_of(schedule, workflow, call, version=version, retention=retention)
    handle = ScheduleHandle(client, schedule.id, client._clock)
    instance_id = _instance_id(plan.schedule.id)
    keeper = keep_schedule.with_options(
        instance_id=instance_id,
        queue=plan.target.queue,
        if_exists=IfExists.RESTART,
        priority=plan.target.priority,
        retention=Retention(),  # the App's is that of its own workflows
    )
    try:
        await client.start(keeper, plan)
    except InstanceAlreadyExists:
        # The same plan changes nothing. To ask first whether it is the same would be a race.
        await client.signal(instance_id, CHANGE, SetPlan(plan))
    return handle


def _plan_of(
    schedule: Schedule,
    workflow: Workflow[..., Any],
    call: EncodedCall,
    *,
    version: str | None,
    retention: Retention | None,
) -> Plan:
    """Raises ConfigurationError for options that a schedule can't keep."""
    options = workflow.options
    unchanged = WorkflowOptions()
    wrong = [
        name
        for name in WorkflowOptions.__struct_fields__
        if name not in _ALONE and name != "parent_close" and getattr(options, name) != getattr(unchanged, name)
    ]
    if workflow.start_signals:
        wrong.append("start_signal")
    if wrong:
        raise ConfigurationError(
            f"{', '.join(wrong)} can't be given for runs of a schedule: their ids are made of the schedule's id and the time when "
            f"they are due; {', '.join(_ALONE)} can"
        )
    retry = None if options.retry is None else stored_retry(options.retry)
    target = Target(
        call=StoredCall(workflow.name, *call, version, retry, retention=chosen(options.retention, retention)),
        queue=options.queue or DEFAULT_QUEUE,
        priority=options.priority or 0,
        timeout=None if options.timeout is None else duration_micros(options.timeout),
        tags=dict(options.tags or {}),
    )
    return Plan(schedule=schedule, target=target)


def _creation(plan: Plan, instance_id: str, due_at: Micros, headers: dict[str, str]) -> CreateInstance:
    target, call = plan.target, plan.target.call
    return CreateInstance(
        request_id=random_id(),
        instance_id=instance_id,
        execution_id=random_id(),
        workflow=call.workflow,
        queue=target.queue,
        started=ExecutionStarted(
            at=0,
            workflow=call.workflow,
            arguments=call.arguments,
            python="",
            version=call.version,
            headers=headers,
            due_at=due_at,
        ),
        digest=call.digest,
        priority=target.priority,
        version=call.version,
        timeout=target.timeout,
        tags=target.tags,
        retention=call.retention,
    )


def _instance_id(schedule_id: str) -> str:
    return f"{KEEPER_PREFIX}{schedule_id}"
