"""What an App sets up once per worker, on its running loop: connection pools, and the objects whose methods are activities."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from perdure.activities.definition import Activity
from perdure.app import App
from perdure.errors import RegistrationError


@asynccontextmanager
async def entered_lifespan(app: App) -> AsyncGenerator[Mapping[str, Activity[..., Any]], None]:
    """All activities by name: the App's and those of what its lifespan yields (one object, several, or nothing)."""
    if app.lifespan is None:
        yield app.activities
        return
    async with app.lifespan() as yielded:
        yield with_yielded(app, yielded)


def with_yielded(app: App, yielded: object) -> Mapping[str, Activity[..., Any]]:
    """Raises RegistrationError if it yielded what can't be registered."""
    added = app.bound_activities(_objects(yielded))
    problems = [
        f"the activity {name} is registered twice: in the App and by what its lifespan yields"
        for name, activity in added.items()
        if name in app.activities and app.activities[name].function is not activity.function
    ]
    for name, activity in added.items():
        schema = app.payloads.call(activity.function, skip=activity.skip)
        problems += [f"activity {name}: {problem}" for problem in schema.check()]
    if problems:
        raise RegistrationError("; ".join(problems))
    return {**app.activities, **added}


def _objects(yielded: object) -> Iterable[object]:
    if yielded is None:
        return ()
    if isinstance(yielded, list | tuple | set | frozenset):
        return yielded
    return (yielded,)
