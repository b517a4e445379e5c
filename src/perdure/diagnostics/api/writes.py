"""The operations that act: one for each action, made from their table, and batches."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from perdure.client.filters import instance_filter
from perdure.diagnostics.actions.batch import BatchStatus
from perdure.diagnostics.actions.conditions import InstanceConditions
from perdure.diagnostics.actions.inputs import Inputs
from perdure.diagnostics.actions.orders import order_of
from perdure.diagnostics.actions.results import Result
from perdure.diagnostics.actions.table import ACTIONS, Action, ActionName
from perdure.diagnostics.api.operations import Call, Operation, reading, writing
from perdure.diagnostics.api.problems import refuse
from perdure.diagnostics.api.queries import InstanceQuery, Nothing


class BatchOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a batch is to do, and to which instances."""

    action: ActionName
    filter: InstanceConditions
    inputs: Inputs = Inputs()


class BatchChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which batch."""

    id: str


class BatchList(msgspec.Struct, frozen=True, kw_only=True):
    """The batches that this server knows of, newest first."""

    batches: tuple[BatchStatus, ...]


async def start_batch(call: Call[Nothing, BatchOrder]) -> BatchStatus:
    """Do something to all instances of a filter; `/batch` tells how far it is."""
    order = call.body
    where = instance_filter(order.filter.filters())
    begun = await call.services.batches.start(call.request, order.action, where, order.inputs)
    return refuse(begun) if isinstance(begun, Result) else begun


async def stop_batch(call: Call[Nothing, BatchChoice]) -> Result:
    """Let a batch begin nothing more; what was done stays done."""
    return await call.services.batches.stop(call.request, call.body.id)


async def list_batches(call: Call[Nothing, None]) -> BatchList:
    """The batches of this server; a restart forgets them."""
    return BatchList(batches=tuple(call.services.batches.list()))


async def get_batch(call: Call[InstanceQuery, None]) -> BatchStatus:
    """How far a batch is."""
    found = call.services.batches.read(call.query.id)
    return refuse(found) if isinstance(found, Result) else found


def acting(action: Action) -> Operation:
    """The operation of an action: its body has the target's id, and the inputs that the action takes."""

    async def act(call: Call[Nothing, Any]) -> Result:
        given = msgspec.structs.asdict(call.body)
        target_id = given.pop("id")
        return await call.services.desk.do(call.request, action.name, target_id, Inputs(**given))

    return Operation(
        method="POST",
        path=f"/actions/{action.name}",
        name=action.name,
        summary=action.does,
        handler=act,
        answer=Result,
        body=order_of(action),
    )


OPERATIONS = (
    *(acting(action) for action in ACTIONS.values()),
    writing("/batches", start_batch, HTTPStatus.ACCEPTED),
    reading("/batches", list_batches),
    reading("/batch", get_batch),
    writing("/batch/stop", stop_batch),
)
