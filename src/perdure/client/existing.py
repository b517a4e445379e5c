"""`if_exists="use"`: whether the instance that has the id is the one that was asked for."""

from __future__ import annotations

from functools import partial
from typing import Any

from perdure.backends.protocol import Inspection
from perdure.backends.weight import read_arguments, whole
from perdure.client.repeating import repeat
from perdure.errors import DecodeError
from perdure.model.event import ExecutionStarted
from perdure.model.options import IfExists
from perdure.model.transition import CreateInstance, Existing
from perdure.serialization.payloads import Payloads
from perdure.workflows.definition import Workflow


async def is_same_start(
    store: Inspection, definition: Workflow[..., Any], asked: CreateInstance, found: Existing, payloads: Payloads
) -> bool:
    """Whether the caller may have the instance that is there.

    If the digests differ, the arguments may still be the same to today's types: a field with a default was added since.
    """
    if definition.options.if_exists is not IfExists.USE or found.workflow != asked.workflow:
        return False
    if found.digest == asked.digest:
        return True
    recorded = await _first_arguments(store, found.instance_id)
    try:
        return payloads.call(definition.function, skip=1).is_same_call(recorded, asked.started.arguments)
    except DecodeError:
        return False


async def _first_arguments(store: Inspection, instance_id: str) -> bytes:
    """What the instance was started with; continue-as-new may have changed the current arguments."""
    executions = await repeat(lambda: store.read_executions(instance_id))
    if len(executions) > 1:
        first = executions[0].execution_id
        events = await repeat(lambda: store.read_history(instance_id, execution_id=first, limit=1))
        if events and isinstance(events[0].event, ExecutionStarted):
            return await repeat(partial(whole, store, events[0].event.arguments))
    return await repeat(lambda: read_arguments(store, instance_id))
