"""Payloads that the store keeps apart: which of them the code needs now, and those that were read for it.

The engine reads nothing. It stops before an event that brings workflow code a value which isn't here, and says which; whoever drives
it fetches that and goes on. So replay needs what the code awaited, one value at a time, and never the inputs of commands, which are
compared by their digests. Only if a digest differs is an input needed, in the middle of a drain: then the execution is begun anew
as one that asks for the inputs as well (`InputApart`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from perdure.model.event import (
    ActivityCompleted,
    ActivityScheduled,
    ExecutionContinued,
    SideEffectRecorded,
    SignalSent,
    SubWorkflowCompleted,
    SubWorkflowScheduled,
)
from perdure.model.reference import MARK, references_in

if TYPE_CHECKING:
    from perdure.engine.core import Core

_RESULTS = (ActivityCompleted, SubWorkflowCompleted)
_INPUTS = (ActivityScheduled, SubWorkflowScheduled, SignalSent, ExecutionContinued)


class InputApart(Exception):
    """A recorded input has to be looked at, and isn't here."""


def hand_over(core: Core, payloads: Mapping[bytes, bytes]) -> None:
    """Payloads that were fetched, by their references."""
    core.fetched = {**(core.fetched or {}), **payloads}


def whole(core: Core, payload: bytes) -> bytes:
    """The payload itself. Raises InputApart."""
    if payload[:1] != MARK:
        return payload
    found = (core.fetched or {}).get(payload)
    if found is None:
        raise InputApart("a payload is kept apart, and wasn't fetched")
    return found


def missing(core: Core, event: object, recorded: Iterable[object] = ()) -> Sequence[bytes]:
    """References to what the event, and the commands that history has behind it, bring to the code and isn't here."""
    wanted = references_in(event)
    if wanted and isinstance(event, _RESULTS) and not _is_awaited(core, event.number):
        wanted = ()
    for each in recorded:
        if isinstance(each, SideEffectRecorded) or (core.asks_for_inputs and isinstance(each, _INPUTS)):
            wanted = (*wanted, *references_in(each))
    return [reference for reference in wanted if reference not in (core.fetched or {})] if wanted else ()


def _is_awaited(core: Core, number: int) -> bool:
    machine = core.machines.get(number)
    return machine is not None and not machine.is_abandoned


def forget(core: Core) -> None:
    """Events were applied: keep what signals still wait for their receive."""
    if core.fetched:
        unread = {payload for buffer in (core.signals or {}).values() for payload in buffer.payloads}
        core.fetched = {reference: payload for reference, payload in core.fetched.items() if reference in unread}
