"""Histories of a store, as far as they are needed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from perdure.client.client import Client
from perdure.client.repeating import repeat
from perdure.errors import InstanceNotFound
from perdure.model.inspection import HistoryEvent

EVENTS_AT_ONCE = 1000
_EXECUTION_ID = re.compile("[0-9a-f]{32}")


async def read_events(
    client: Client, instance_id: str, execution_id: str, *, after: int, limit: int = EVENTS_AT_ONCE
) -> Sequence[HistoryEvent]:
    """Events behind a position; none of an execution that the instance doesn't have. Raises InstanceNotFound, StoreError."""
    if not _EXECUTION_ID.fullmatch(execution_id):
        return ()
    store = client.backend
    return await repeat(lambda: store.read_history(instance_id, execution_id=execution_id, after=after, limit=limit))


async def execution_of(client: Client, instance_id: str, execution_id: str | None) -> str:
    """The execution that is meant: without an id the current one. Raises InstanceNotFound, also if it isn't the instance's."""
    current = (await client.info(instance_id)).execution_id
    if execution_id is None or execution_id == current:
        return current
    if all(each.execution_id != execution_id for each in await client.executions(instance_id)):
        raise no_execution(instance_id, execution_id)
    return execution_id


def no_execution(instance_id: str, execution_id: str) -> InstanceNotFound:
    """What is raised for an execution that isn't the instance's."""
    return InstanceNotFound(f"instance {instance_id!r} has no execution {execution_id!r} (any more)", instance_id)
