"""Starting workflows by their names, with arguments as JSON has them: for those who haven't got the code, as the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from perdure.client.client import Client
from perdure.client.handle import Handle
from perdure.client.schedules import ScheduleHandle, put_schedule
from perdure.errors import ArgumentsError, ConfigurationError
from perdure.model.names import OWN_NAMES
from perdure.model.schedule import Schedule
from perdure.serialization.calls import EncodedCall
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow


async def start_named(
    client: Client, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> Handle[Any]:
    """Start the workflow of this name; `options` are those of `with_options`.

    If the client has an App, the arguments become what the workflow's annotations say. Else they are stored as they are, and it shows
    only when a worker reads them whether they fit. Raises ConfigurationError, ArgumentsError, and what `Client.start` does.
    """
    definition = _definition(client, name).with_options(**options)
    call = _encoded(client, definition, args, kwargs)
    return client.handle(await client._sending.start_encoded(client, client.backend, definition, call))


async def schedule_named(
    client: Client,
    schedule: Schedule,
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> ScheduleHandle:
    """The same whenever the schedule is due. Raises what `Client.schedule` does."""
    definition = _definition(client, name).with_options(**options)
    return await put_schedule(client, schedule, definition, _encoded(client, definition, args, kwargs))


def _definition(client: Client, name: str) -> Workflow[..., Any]:
    if name.startswith(OWN_NAMES):
        raise ConfigurationError(f"{name!r} is one of perdure's own workflows: it isn't started by name")
    if client._app is None:
        return Workflow(_elsewhere, name=name)
    known = client._app.workflows
    if name not in known:
        own = sorted(each for each in known if not each.startswith(OWN_NAMES))
        near = get_close_matches(name, own, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else "."
        raise ConfigurationError(f"the App has no workflow {name!r}{meant} It has {', '.join(own) or 'none'}")
    return known[name]


def _encoded(
    client: Client, definition: Workflow[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> EncodedCall:
    payloads = client._payloads
    if client._app is not None:
        return payloads.call(definition.function, skip=1).encode_plain(tuple(args), dict(kwargs))
    if kwargs:
        raise ArgumentsError(
            f"without the App nobody knows the places of {', '.join(kwargs)} among the arguments of {definition.name!r}: give "
            "arguments in their order, or name the App"
        )
    payload = payloads.encode(list(args))
    return EncodedCall(payload, payloads.digest(payload))


async def _elsewhere(ctx: Context) -> None:
    """Stands for code that this process hasn't got."""
