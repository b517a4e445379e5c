"""Starts and signals from the caller's arguments to their outcomes, whichever way they get to the store."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from perdure.activities.definition import Activity
from perdure.app import App
from perdure.backends.protocol import Inspection
from perdure.client import updating
from perdure.client.asking import Asking, Call
from perdure.client.existing import is_same_start
from perdure.client.identity import derived_id
from perdure.client.refusals import check_taken
from perdure.client.starting import (
    alone,
    already_exists,
    check_activity_registered,
    check_registered,
    creation,
    signal_received,
)
from perdure.clock import Clock, Micros, random_id
from perdure.model.event import Sent
from perdure.model.names import OWN_NAMES, OWN_VERSION, check_name
from perdure.model.transition import Appended, AppendEvent, Created, CreateInstance, Existing, NotAppended
from perdure.observability.telemetry import Telemetry
from perdure.propagation import Propagation
from perdure.serialization.calls import EncodedCall
from perdure.serialization.payloads import Payloads
from perdure.workflows.alone import WORKFLOW as ALONE
from perdure.workflows.definition import Workflow
from perdure.workflows.signal import Signal


class Way(Protocol):
    """How a start or a signal gets to the store."""

    async def _create(self, asked: CreateInstance) -> Created | Existing: ...

    async def _send(self, asked: AppendEvent) -> Appended | NotAppended: ...


class Sending:
    """What a client's starts and signals have in common."""

    def __init__(
        self,
        app: App | None,
        payloads: Payloads,
        propagation: Propagation,
        telemetry: Telemetry | None,
        keep_keys: Micros,
        clock: Clock,
    ) -> None:
        self._app = app
        self._payloads = payloads
        self._propagation = propagation
        self._keep_keys = keep_keys
        self._clock = clock
        self._telemetry = telemetry if app is None else app.telemetry

    async def start(
        self,
        way: Way,
        store: Inspection,
        definition: Workflow[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> str:
        """The id of the instance."""
        check_registered(self._app, definition)
        call = self._payloads.call(definition.function, skip=1).encode(args, kwargs)
        return await self.start_encoded(way, store, definition, call)

    async def start_activity(
        self, way: Way, store: Inspection, activity: Activity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> str:
        """The id of the instance behind it."""
        check_activity_registered(self._app, activity)
        return await self.start_encoded(way, store, *alone(activity, args, kwargs, self._payloads))

    async def start_encoded(
        self, way: Way, store: Inspection, definition: Workflow[..., Any], call: EncodedCall
    ) -> str:
        """The id of the instance."""
        if self._telemetry is None:
            return await self._create(way, store, definition, call)
        activity = (definition.options.tags or {}).get("activity") if definition.name == ALONE else None
        with self._telemetry.starting(activity or definition.name) as note:
            return await self._create(way, store, definition, call, note)

    async def _create(
        self,
        way: Way,
        store: Inspection,
        definition: Workflow[..., Any],
        call: EncodedCall,
        note: Callable[[str, bytes], None] | None = None,
    ) -> str:
        asked = creation(
            definition,
            call,
            payloads=self._payloads,
            version=self._version_of(definition),
            headers=self.headers(),
            retention=None if self._app is None else self._app.retention,
            clock=self._clock,
        )
        if note is not None:
            note(asked.instance_id, asked.execution_id)
        found = await way._create(asked)
        if isinstance(found, Existing):
            await self._use_existing(way, store, definition, asked, found)
        return asked.instance_id

    def _version_of(self, definition: Workflow[..., Any]) -> str | None:
        if definition.name.startswith(OWN_NAMES):
            return OWN_VERSION
        return None if self._app is None else self._app.version

    def headers(self) -> dict[str, str]:
        """What propagators have an instance carry that is started here."""
        return self._propagation.headers({})

    async def signal(self, way: Way, instance_id: str, signal: Signal[Any], value: object, key: str | None) -> None:
        event = signal_received(signal, value, self._payloads)
        message_id = random_id()
        if key is not None:
            message_id = derived_id("signal", instance_id, signal.name, check_name(key, "a key"))
        if self._telemetry is None:
            await self.append(way, instance_id, event, message_id)
            return
        with self._telemetry.signalling(signal.name, instance_id) as headers:
            await self.append(way, instance_id, msgspec.structs.replace(event, headers=headers), message_id)

    async def update(
        self, way: updating.Way, asking: Asking, instance_id: str, call: Call, key: str | None, seconds: float | None
    ) -> Any:
        timeout = math.inf if seconds is None else seconds
        update = updating.Update(
            way, instance_id, call, key=key, keep=self._keep_keys, timeout_seconds=timeout, clock=self._clock
        )
        return updating.result_of(await update.answer(), asking, instance_id, call)

    async def append(self, way: Way, instance_id: str, event: Sent, message_id: bytes) -> None:
        check_name(instance_id, "an instance id")
        asked = AppendEvent(message_id=message_id, instance_id=instance_id, event=event, keep=self._keep_keys)
        check_taken(instance_id, await way._send(asked))

    async def _use_existing(
        self, way: Way, store: Inspection, definition: Workflow[..., Any], asked: CreateInstance, found: Existing
    ) -> None:
        """Returns if the instance that is there may be taken for the one that was asked for."""
        if not await is_same_start(store, definition, asked, found, self._payloads):
            raise already_exists(asked, found, definition.options)
        if found.digest == asked.digest or found.state.is_ended:
            return
        for place, event in enumerate(asked.signals):  # the store left them out: to it, the input is another one
            message_id = derived_id("signal", asked.request_id, place.to_bytes(4))
            await self.append(way, asked.instance_id, event, message_id)
