"""The one registry that worker, orchestrator, replay, tester, linter, user interface and command line take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar, cast

from perdure.activities.definition import Activity, activity_of
from perdure.errors import RegistrationError
from perdure.model.names import OWN_NAMES
from perdure.model.options import Duration, Retention
from perdure.model.retention import as_retention
from perdure.observability.telemetry import Telemetry
from perdure.propagation import Propagation, Propagator, propagation_problems
from perdure.serialization.codecs import Codec
from perdure.serialization.converters import Converter
from perdure.serialization.payloads import Payloads
from perdure.workflows.alone import run_alone
from perdure.workflows.definition import Workflow, workflow_of
from perdure.workflows.scheduling import keep_schedule

D = TypeVar("D", bound=Workflow[..., Any] | Activity[..., Any])

Lifespan = Callable[[], AbstractAsyncContextManager[Any]]
"""An async context manager per worker process; it yields an object (or several) whose methods are activities."""


class App:
    """Workflows and activities by name, and how their values are stored.

    `activities` holds functions, what `@activity` made, bound methods, and objects: every method of theirs that
    `@activity` made is registered. `lifespan` is entered by each worker on its running loop and yields such objects.
    `version` is stored with each instance at its start. `exceptions` may be rebuilt in workflow code from failures
    even where their module isn't loaded. `propagators` carry context variables from clients through workflows to
    activities. `retention` is for workflows that say none themselves. `telemetry` traces and measures (`perdure.otel`).
    Raises RegistrationError that lists every problem at once.
    """

    def __init__(  # noqa: PLR0913 - each is an option with a default
        self,
        *,
        workflows: Iterable[Callable[..., Any]] = (),
        activities: Iterable[object] = (),
        lifespan: Lifespan | None = None,
        version: str | None = None,
        converters: Sequence[Converter] = (),
        codecs: Sequence[Codec] = (),
        exceptions: Iterable[type[Exception]] = (),
        payload_limit: int | None = None,
        propagators: Sequence[Propagator] = (),
        retention: Retention | Duration | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.version: str | None = version
        self.lifespan: Lifespan | None = lifespan
        self.retention: Retention | None = None if retention is None else as_retention(retention)
        self.payloads: Payloads = (
            Payloads(converters=converters, codecs=codecs)
            if payload_limit is None
            else Payloads(converters=converters, codecs=codecs, limit_bytes=payload_limit)
        )
        self.exceptions: Mapping[str, type[Exception]] = {
            f"{kind.__module__}:{kind.__qualname__}": kind for kind in exceptions
        }
        self.telemetry: Telemetry | None = telemetry
        problems: list[str] = propagation_problems(propagators if telemetry is None else (*propagators, telemetry))
        self.propagation: Propagation = Propagation() if problems else carrying(propagators, telemetry)
        self.workflows: Mapping[str, Workflow[..., Any]] = _by_name(
            [found for each in workflows for found in _tried(lambda: [workflow_of(each)], problems)],  # noqa: B023
            "workflow",
            problems,
        )
        problems += [
            f"workflow {name!r} has a name that begins with {OWN_NAMES!r}: those are perdure's own; give it another one"
            for name in self.workflows
            if name.startswith(OWN_NAMES)
        ]
        self.activities: Mapping[str, Activity[..., Any]] = self.bound_activities(activities, problems)
        if self.workflows:
            self.workflows = {**self.workflows, keep_schedule.name: keep_schedule}
        if self.workflows or self.activities or lifespan is not None:
            self.workflows = {**self.workflows, run_alone.name: run_alone}
        problems += self._type_problems()
        if problems:
            raise RegistrationError("this App can't be used:\n" + "\n".join(f"- {problem}" for problem in problems))

    def bound_activities(
        self, targets: Iterable[object], problems: list[str] | None = None
    ) -> Mapping[str, Activity[..., Any]]:
        """Activities by name: of functions, methods and objects. Raises RegistrationError unless given `problems`."""
        issues: list[str] = [] if problems is None else problems
        found = [
            activity
            for target in targets
            for activity in _tried(lambda: _activities_of(target), issues)  # noqa: B023 - called at once
        ]
        issues.extend(
            f"activity {each.name} was taken from its class: register an object of that class instead"
            for each in found
            if each.skip and each.receiver is None
        )
        named = _by_name(found, "activity", issues)
        if problems is None and issues:
            raise RegistrationError("; ".join(issues))
        return named

    def _type_problems(self) -> list[str]:
        problems: list[str] = []
        definitions: list[Workflow[..., Any] | Activity[..., Any]] = [
            *self.workflows.values(),
            *self.activities.values(),
        ]
        for definition in definitions:
            skip = 1 if isinstance(definition, Workflow) else definition.skip
            kind = "workflow" if isinstance(definition, Workflow) else "activity"
            schema = self.payloads.call(definition.function, skip=skip)
            problems += [f"{kind} {definition.name}: {problem}" for problem in schema.check()]
        return problems


def carrying(propagators: Sequence[Propagator], telemetry: Telemetry | None) -> Propagation:
    """What the propagators carry, and what telemetry does. Raises RegistrationError."""
    if telemetry is None:
        return Propagation(propagators)
    return Propagation((*propagators, telemetry), lasting_fields=telemetry.lasting_fields)


def _tried(find: Callable[[], list[D]], problems: list[str]) -> list[D]:
    """What `find` gives; nothing, and a problem more, if it refuses."""
    try:
        return find()
    except RegistrationError as problem:
        problems.append(str(problem))
        return []


def _by_name(definitions: Sequence[D], what: str, problems: list[str]) -> dict[str, D]:
    named: dict[str, D] = {}
    for each in definitions:
        other = named.get(each.name)
        if other is not None and (other.function, _receiver(other)) != (each.function, _receiver(each)):
            problems.append(
                f"two of kind {what} are named {each.name!r} ({_place(other.function)} and {_place(each.function)}): "
                f"give one of them another name, as in @{what}(name=…)"
            )
        named[each.name] = each
    return named


def _receiver(definition: Workflow[..., Any] | Activity[..., Any]) -> int:
    return id(getattr(definition, "receiver", None))


def _activities_of(target: object) -> list[Activity[..., Any]]:
    """One activity, or the bound activities of an object."""
    if isinstance(target, Activity) or callable(target):
        return [activity_of(target)]
    found = [
        cast("Activity[..., Any]", getattr(target, name))
        for name in dir(type(target))
        if isinstance(inspect.getattr_static(type(target), name, None), Activity)
    ]
    if not found:
        raise RegistrationError(f"{target!r} has no method that @activity made")
    return found


def _place(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', '?')}"
