"""What an action may be told besides its target, and how it is asked for."""

from __future__ import annotations

import enum
from typing import Annotated, Any

import msgspec

_REASON_LENGTH = 2_000


class Inputs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that actions take, each what it needs; JSON has the same names."""

    reason: Annotated[str, msgspec.Meta(max_length=_REASON_LENGTH)] = ""
    """Why; it stands in the history."""
    signal: str = ""
    """A signal's name."""
    value: Any = None
    """What the signal carries."""
    idempotency_key: str | None = None
    """Of a signal: a second one of this key is taken for the first."""
    number: int | None = None
    """An activity's number; without one, all that wait."""
    at_event: int | None = None
    """The event to go back to; without one, to before what led to the end."""


NO_INPUTS = Inputs()


class InputKind(enum.StrEnum):
    """How an input is written."""

    TEXT = "text"
    JSON = "json"
    NUMBER = "number"


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One of them, for forms and descriptions."""

    name: str
    """Of the field of `Inputs`."""
    label: str
    kind: InputKind = InputKind.TEXT
    is_required: bool = False
    help: str = ""


REASON = Input(name="reason", label="Reason", help="Why; it stands in the history.")
SIGNAL = Input(name="signal", label="Signal", is_required=True, help="The name that the workflow waits for.")
VALUE = Input(
    name="value", label="Value", kind=InputKind.JSON, help="What it carries, as JSON; none if it is left out."
)
KEY = Input(
    name="idempotency_key", label="Key", help="A second signal of the same name and key is taken for the first."
)
NUMBER = Input(
    name="number", label="Activity", kind=InputKind.NUMBER, help="Its number; all that wait if it is left out."
)
AT_EVENT = Input(
    name="at_event",
    label="Event",
    kind=InputKind.NUMBER,
    help="The last event that stays; all but what led to the end if it is left out.",
)
