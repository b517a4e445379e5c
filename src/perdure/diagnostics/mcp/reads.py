"""The tools that read: what the pages show, in sizes that fit an agent's context."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from perdure.diagnostics.actions.conditions import InstanceConditions
from perdure.diagnostics.mcp.condensing import MOST_ITEMS, Bounds, condensed, condensed_page
from perdure.diagnostics.mcp.tools import Services, reading
from perdure.diagnostics.views import history, instances, queues, run, schedules, timeline, tree, where
from perdure.errors import ConfigurationError
from perdure.model.names import check_name

_WHOLE_TEXT = 16_000

ExecutionId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", description="By default the current one.")]
Cursor = Annotated[str, Meta(description="What the last page gave, for the next one.", max_length=100)]
Limit = Annotated[int, Meta(ge=1, le=MOST_ITEMS)]


class Nothing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No arguments."""


class ListInstances(InstanceConditions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 20


class ListStuck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 10


class OneInstance(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str

    def __post_init__(self) -> None:
        check_name(self.id, "an instance id")


class OneExecution(OneInstance, frozen=True, kw_only=True, forbid_unknown_fields=True):
    execution: ExecutionId | None = None


class GetHistory(OneExecution, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: Annotated[int, Meta(ge=-1, le=2**53, description="Events behind this position; pages give next_after.")] = -1
    limit: Limit = 20
    kinds: Annotated[tuple[str, ...], Meta(description="Of these kinds alone, as in ActivityFailed.")] = ()
    text: Annotated[str, Meta(description="Events that hold this text alone.", max_length=1000)] = ""


class GetEvent(OneInstance, frozen=True, kw_only=True, forbid_unknown_fields=True):
    execution: ExecutionId
    position: Annotated[int, Meta(ge=0, le=2**53)]


class GetTimeline(OneExecution, frozen=True, kw_only=True, forbid_unknown_fields=True):
    first: Annotated[int, Meta(ge=0, le=2**53, description="So many bars are left out before.")] = 0
    limit: Limit = 30


class GetTree(OneInstance, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Limit = 30


async def list_instances(services: Services, given: ListInstances) -> str:
    """List instances (runs of workflows), newest first, a page at a time; every given condition must hold."""
    filters = given.filters()
    return await condensed_page(
        lambda limit: instances.read_instances(services.look, cursor=given.cursor, limit=limit, **filters), given.limit
    )


async def count_instances(services: Services, given: InstanceConditions) -> str:
    """Count instances by state, and how many of them are stuck, suspended or have waited long."""
    return condensed(await instances.read_counts(services.look, **given.filters()))


async def list_stuck(services: Services, given: ListStuck) -> str:
    """List the instances that can't go on, each with the reason and what to do about it."""
    return await condensed_page(
        lambda limit: instances.read_instances(services.look, cursor=given.cursor, limit=limit, stuck=True), given.limit
    )


async def get_instance(services: Services, given: OneExecution) -> str:
    """Get one instance: state, input, result or failure with traceback, parent and children, activities under way with
    attempt and last failure, and why it is stuck if it is."""
    return condensed(await run.read_run(services.look, given.id, execution_id=given.execution))


async def get_history(services: Services, given: GetHistory) -> str:
    """Get a page of the events of an instance's current or given execution, in order."""
    return await condensed_page(
        lambda limit: history.read_history(
            services.look,
            given.id,
            execution_id=given.execution,
            after=given.after,
            limit=limit,
            kinds=given.kinds or None,
            text=given.text,
        ),
        given.limit,
    )


async def get_event(services: Services, given: GetEvent) -> str:
    """Get one event of a history with more of its payloads than a page shows."""
    found = await history.read_event(services.look, given.id, given.execution, given.position)
    if found is None:
        raise ConfigurationError(f"there is no event {given.position} in that execution of {given.id!r}")
    return condensed(found, Bounds(text=_WHOLE_TEXT))


async def get_timeline(services: Services, given: GetTimeline) -> str:
    """Get what an execution did over time: activities, timers, sub-workflows and signals with begin, end and state."""
    return await condensed_page(
        lambda limit: timeline.read_timeline(
            services.look, given.id, execution_id=given.execution, first=given.first, most=limit
        ),
        given.limit,
    )


async def where_is_it(services: Services, given: OneInstance) -> str:
    """Say what an instance waits for now, and, if the server knows the code, in which line of it."""
    return condensed(await where.read_where(services.look, given.id))


async def get_tree(services: Services, given: GetTree) -> str:
    """Get the sub-workflows below an instance, and the way up to the topmost one."""
    return await condensed_page(lambda limit: tree.read_tree(services.look, given.id, most=limit), given.limit)


async def list_queues_and_workers(services: Services, given: Nothing) -> str:
    """List queues (what waits, for how long, limits, what keeps them from moving) and workers (who is alive)."""
    return condensed(await queues.read_queues(services.look))


async def list_schedules(services: Services, given: Nothing) -> str:
    """List schedules with their last and next runs."""
    return condensed(await schedules.read_schedules(services.look, limit=MOST_ITEMS))


TOOLS = tuple(
    reading(handler)
    for handler in (
        list_instances,
        count_instances,
        list_stuck,
        get_instance,
        where_is_it,
        get_history,
        get_event,
        get_timeline,
        get_tree,
        list_queues_and_workers,
        list_schedules,
    )
)
