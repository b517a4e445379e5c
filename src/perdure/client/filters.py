"""Filters of instances as keywords, the same for list, count and prune."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict

from perdure.clock import to_micros
from perdure.errors import ConfigurationError
from perdure.model.inspection import InstanceFilter
from perdure.model.instance import State
from perdure.workflows.definition import workflow_of


class Filters(TypedDict, total=False):
    """Which instances; every given condition must hold. Times are half-open: from (included) to (excluded)."""

    states: Iterable[State | str]
    workflow: str | Callable[..., Any]
    """A workflow, or its name."""
    queue: str
    id_prefix: str
    id_contains: str
    version: str
    """App(version=) of the process that started it."""
    created_from: datetime
    created_to: datetime
    ended_to: datetime
    updated_to: datetime
    """Nothing was recorded or arrived since; with `states=["running"]`: those that wait long."""
    tags: Mapping[str, str]
    parent_instance_id: str
    stuck: bool
    suspended: bool


def instance_filter(filters: Filters) -> InstanceFilter:
    """The filter that the keywords stand for. Raises ConfigurationError for a state or time that there isn't."""
    given: dict[str, Any] = {**filters}
    if given.get("states") is not None:
        given["states"] = _states(given["states"])
    if callable(given.get("workflow")):
        given["workflow"] = workflow_of(given["workflow"]).name
    for name in ("created_from", "created_to", "ended_to", "updated_to"):
        if given.get(name) is not None:
            _check_aware(name, given[name])
    return InstanceFilter(**given)


def _states(states: Iterable[State | str]) -> frozenset[State]:
    try:
        return frozenset(State(state) for state in ([states] if isinstance(states, str) else states))
    except ValueError as problem:
        raise ConfigurationError(f"{problem}: states are {', '.join(State)}") from None


def _check_aware(name: str, at: datetime) -> None:
    try:
        to_micros(at)
    except ValueError as problem:
        raise ConfigurationError(f"{name}: {problem}") from None
