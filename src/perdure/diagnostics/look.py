"""What views are read through: a client, the App if there is one, and how payloads and failures are shown."""

from __future__ import annotations

import base64
import re
from collections import OrderedDict
from datetime import datetime
from typing import Literal

import msgspec

from perdure.app import App
from perdure.backends.weight import whole
from perdure.client.client import Client
from perdure.client.repeating import repeat
from perdure.diagnostics.reading import EVENTS_AT_ONCE, read_events
from perdure.diagnostics.replaying import Replays
from perdure.diagnostics.steps import Steps
from perdure.errors import DecodeError, StoreCorrupt
from perdure.model.failure import Failure
from perdure.model.reference import is_reference, read_reference
from perdure.serialization.payloads import Payloads

SHOWN = 20_000
"""So many characters of a payload are shown; the rest is there for whoever asks for the whole."""
_EVENTS_KEPT = 500_000
"""What is kept of so many events takes some hundred megabytes."""
_EXECUTIONS_KEPT = 100
_INDENTED = 1_000_000
_DEEPEST_INDENTED = 32
_TOKENS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]')
_STEPS_DEEPER = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


PayloadKind = Literal["json", "text", "binary"]


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """A payload as people read it."""

    kind: PayloadKind | Literal["apart", "closed"]
    """`json` is indented, unless it is very long or deep; `text` isn't JSON; `binary` is base64. Of one that the store keeps `apart`,
    and of one that is `closed` for want of its codec, there is no text.
    """
    text: str
    """At most `SHOWN` characters, without anything that UTF-8 doesn't have."""
    size: int
    """In bytes, as it is stored."""
    is_cut: bool = False
    """Whether there is more than the text."""
    reason: str = ""
    """Why there is no text."""


class ShownFailure(msgspec.Struct, frozen=True, kw_only=True):
    """An exception that crossed a process, with its causes."""

    type_name: str
    types: tuple[str, ...]
    """The class and its bases, nearest first, as `module:QualName`."""
    message: str
    traceback: str
    """As it was where it was raised; empty for what perdure itself makes."""
    is_permanent: bool
    arguments: Payload | None
    cause: ShownFailure | None
    children: tuple[ShownFailure, ...]
    """The parts of an ExceptionGroup."""


class WholePayload(msgspec.Struct, frozen=True, kw_only=True):
    """All of a payload, to be saved."""

    kind: PayloadKind
    data: bytes


class Look:
    """Reads a store for people. Without the `app` payloads that codecs have changed stay closed, and no source lines are known.

    The client must be open, and stays its owner's.
    """

    def __init__(self, client: Client, app: App | None = None) -> None:
        self.client = client
        self.app = app
        self._payloads = Payloads() if app is None else app.payloads
        self._steps: OrderedDict[tuple[str, str], Steps] = OrderedDict()
        """By instance and execution."""
        self.replays = None if app is None else Replays(client, app)
        """Without the App there is no code to replay."""

    async def now(self) -> datetime:
        """The store's time, which all its instants are of."""
        return await repeat(self.client.backend.now)

    async def steps(self, instance_id: str, execution_id: str, *, up_to: int | None = None) -> Steps:
        """The steps of an execution, all of them so far or at least those that begin up to a position.

        They are kept for the next time, for a few executions. Raises InstanceNotFound, StoreError.
        """
        key = (instance_id, execution_id)
        steps = self._steps.setdefault(key, Steps())
        self._steps.move_to_end(key)
        try:
            while up_to is None or steps.last_position < up_to:
                events = await read_events(self.client, instance_id, execution_id, after=steps.last_position)
                for event in events:  # another reader may have been quicker
                    steps.add(event)
                if len(events) < EVENTS_AT_ONCE:
                    break
            steps.problem = ""
        except StoreCorrupt as problem:
            steps.problem = str(problem)
        self._forget()
        return steps

    def _forget(self) -> None:
        while len(self._steps) > _EXECUTIONS_KEPT or (
            len(self._steps) > 1 and sum(each.last_position for each in self._steps.values()) > _EVENTS_KEPT
        ):
            self._steps.popitem(last=False)

    def payload(self, stored: bytes) -> Payload:
        """What is stored, as it is shown. Never raises, whatever the bytes are."""
        if is_reference(stored):
            return _apart(stored)
        try:
            text = self._payloads.plain_text(stored)
        except DecodeError as problem:
            return _closed(stored, problem)
        return _shown(text, len(stored))

    async def open(self, stored: bytes) -> WholePayload:
        """All of it, fetched if it is kept apart. Raises DecodeError, StoreError."""
        text = self._payloads.plain_text(await repeat(lambda: whole(self.client.backend, stored)))
        return WholePayload(kind=_kind(text), data=text)

    def failure(self, failure: Failure) -> ShownFailure:
        """The failure with all of its causes."""
        return ShownFailure(
            type_name=failure.type_name,
            types=failure.types,
            message=failure.message,
            traceback=failure.traceback,
            is_permanent=failure.permanent,
            arguments=None if failure.arguments is None else self.payload(failure.arguments),
            cause=None if failure.cause is None else self.failure(failure.cause),
            children=tuple(self.failure(child) for child in failure.children),
        )

    def text_of(self, stored: bytes) -> str | None:
        """All of its text on one line, to be searched or quoted; None if it has none here."""
        try:
            return None if is_reference(stored) else self._payloads.plain_text(stored).decode()
        except (DecodeError, UnicodeDecodeError):
            return None


def _apart(stored: bytes) -> Payload:
    try:
        size = read_reference(stored).size
    except ValueError as problem:
        return _closed(stored, problem)
    return Payload(kind="apart", text="", size=size, is_cut=True, reason=f"kept apart: {size:,} bytes")


def _closed(stored: bytes, problem: Exception) -> Payload:
    reason = str(problem).encode("utf-8", "backslashreplace").decode()  # a codec of the user's may say anything
    return Payload(kind="closed", text="", size=len(stored), is_cut=True, reason=reason)


def _shown(text: bytes, size: int) -> Payload:
    kind = _kind(text)
    if kind == "binary":
        return _cut(kind, base64.b64encode(text[:SHOWN]).decode(), size, is_longer=len(text) > SHOWN)
    if kind == "json" and len(text) <= _INDENTED and _depth(text) <= _DEEPEST_INDENTED:
        return _cut(kind, msgspec.json.format(text, indent=2).decode(), size)
    # A character has four bytes at most, and the last one may be cut through.
    return _cut(kind, text[: 4 * SHOWN].decode(errors="ignore"), size, is_longer=len(text) > 4 * SHOWN)


def _cut(kind: PayloadKind, text: str, size: int, *, is_longer: bool = False) -> Payload:
    return Payload(kind=kind, text=text[:SHOWN], size=size, is_cut=is_longer or len(text) > SHOWN)


def _kind(text: bytes) -> PayloadKind:
    try:
        text.decode()
    except UnicodeDecodeError:
        return "binary"
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return "text"
    return "json"


def _depth(text: bytes) -> int:
    """Of JSON: what is indented deeply is mostly indentation."""
    if text.count(b"[") + text.count(b"{") <= _DEEPEST_INDENTED:
        return 0
    depth = deepest = 0
    for token in _TOKENS.finditer(text):
        depth += _STEPS_DEEPER.get(token[0], 0)
        deepest = max(deepest, depth)
    return deepest
