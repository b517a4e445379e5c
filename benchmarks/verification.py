"""What must stand in a store after a run; a fresh process looks (one_run.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from perdure import Client, Instance, Limits, State, Workflow

_CLOSELY_EVERY = 97
_SUGGESTED = "ContinueSuggested"


class NotAsCounted(Exception):
    """The store doesn't hold what the figures claim: they are worth nothing."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """The instances of one workflow, all of them completed."""

    workflow: Workflow[..., Any]
    count: int
    result: Callable[[str], object]
    """What the instance of an id returned."""
    events: tuple[str, ...]
    in_order: bool = True
    """False: the results came in any order."""
    id_prefix: str = ""
    """Only those with ids that begin so; others of this workflow are somebody else's."""


def number_of(instance_id: str) -> int:
    """The number at the end of ids as the cases give them."""
    return int(instance_id.rpartition("-")[2])


async def check(client: Client, *expected: Expected, is_all: bool = True) -> dict[str, int]:
    """Compare the counts, the length of each history, and every 97th result and history event by event.

    If `is_all`, nothing else may be in the store. Says how many of each it has looked at. Raises NotAsCounted.
    """
    checked = {"instances": 0, "results": 0, "events": 0}
    for each in expected:
        await _check_one_kind(client, each, checked)
    if is_all:
        counts = await client.count()
        if counts != {State.COMPLETED: checked["instances"]}:
            raise NotAsCounted(f"the store has {counts}, not just {checked['instances']} completed ones")
    return checked


async def _check_one_kind(client: Client, expected: Expected, checked: dict[str, int]) -> None:
    counts = await client.count(workflow=expected.workflow, id_prefix=expected.id_prefix)
    if counts != {State.COMPLETED: expected.count}:
        raise NotAsCounted(f"of {expected.workflow.name} there are {counts}, not {expected.count} completed ones")
    listed = 0
    async for instance in client.list(workflow=expected.workflow, id_prefix=expected.id_prefix):
        if instance.history_length not in _lengths(expected):
            raise NotAsCounted(
                f"the history of {instance.instance_id} has {instance.history_length} events, not {len(expected.events)}"
            )
        if listed % _CLOSELY_EVERY == 0:
            await _check_closely(client, instance, expected)
            checked["results"] += 1
        listed += 1
        checked["events"] += instance.history_length
    if listed != expected.count:
        raise NotAsCounted(f"{listed} instances of {expected.workflow.name} are listed, not {expected.count}")
    checked["instances"] += listed


def _lengths(expected: Expected) -> set[int]:
    """How many events a history may have: past the mark there is the suggestion to continue as new, once."""
    number = len(expected.events)
    return {number, number + 1} if number > Limits().warn_events else {number}


async def _check_closely(client: Client, instance: Instance, expected: Expected) -> None:
    handle = client.handle(instance.instance_id, workflow=expected.workflow)
    result, wanted = await handle.result(timeout=5), expected.result(instance.instance_id)
    if result != wanted:
        raise NotAsCounted(f"the result of {instance.instance_id} is {result!r}, not {wanted!r}")
    kinds = [kind async for each in handle.history() if (kind := type(each.event).__name__) != _SUGGESTED]
    if kinds != list(expected.events) and (expected.in_order or sorted(kinds) != sorted(expected.events)):
        raise NotAsCounted(f"the history of {instance.instance_id} is {kinds}, not {expected.events}")
