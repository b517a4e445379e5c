"""What a replay finds, as data and as a diff that a person reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from perdure.engine.divergence import describe
from perdure.model.event import Event
from perdure.serialization.payloads import Payloads

_PAYLOADS = ("arguments", "result", "payload")
_SHORT = 60
"""Input of this length is compared by eye."""


class HistoryStep(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a history."""

    position: int
    event: str
    """In words."""


class CodeLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of workflow code."""

    file: str
    line: int
    function: str
    source: str
    """Its text; empty if the file can't be read."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}, in {self.function}"


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """One instance whose history today's code doesn't repeat."""

    instance_id: str
    execution_id: str
    workflow: str
    kind: Literal["diverged", "unknown workflow", "error"]
    """`error`: the code was never asked, or the replay broke down, as by arguments that don't decode."""
    history: str
    """What history says; of an `error`, nothing."""
    code: str
    """What the code did instead, or the error."""
    position: int
    """Where in history they part; -1 if the replay didn't begin."""
    last_common: HistoryStep | None = None
    line: CodeLine | None = None
    """The line that did it; where `is_waiting`, the one that waits instead of doing what history says."""
    is_waiting: bool = False
    input_diff: tuple[str, ...] = ()
    """Line by line, where the same step has another input."""
    cause: tuple[str, ...] = ()
    """What instances have in common that part from their code for one reason."""

    def __str__(self) -> str:
        return "\n".join((f"{self.instance_id} ({self.workflow}): {self._headline()}", *self._lines()))

    def _headline(self) -> str:
        match self.kind:
            case "diverged":
                return f"diverges at event {self.position}"
            case "unknown workflow":
                return "this App has no such workflow"
            case "error":
                return "can't be replayed"

    def _lines(self) -> Iterator[str]:
        if self.last_common is not None:
            yield f"    {self.last_common.position:>5}  {self.last_common.event}"
        if self.kind == "diverged":
            yield f"  - {self.position:>5}  {self.history}"
            yield f"  + {self.position:>5}  {self.code}"
        elif self.kind == "error":
            yield f"  ! {self.code}"
        for each in self.input_diff:
            yield f"             {each}"
        if self.line is not None:
            yield f"           {'the code waits at ' if self.is_waiting else ''}{self.line}"
            yield f"               {self.line.source}"


def in_words(event: Event, payloads: Payloads) -> str:
    """The event as a person reads it, whatever codecs have made of its input."""
    return describe(_opened(event, payloads))


def input_diff(recorded: Event | None, issued: Event | None, payloads: Payloads) -> tuple[str, ...]:
    """The inputs of one step line by line, if they are too long to be compared by eye."""
    if recorded is None or issued is None or type(recorded) is not type(issued) or name_of(recorded) != name_of(issued):
        return ()
    before, after = _pretty(recorded, payloads), _pretty(issued, payloads)
    if before == after or max(len(before), len(after)) <= _SHORT:
        return ()
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return tuple(line for line in lines if not line.startswith(("---", "+++")))


def name_of(event: Event) -> str:
    """What kind of event it is, and of what; not which one."""
    name = next((found for field in ("name", "workflow", "patch_id") if (found := getattr(event, field, None))), "")
    return f"{type(event).__name__} {name}"


def _opened(event: Event, payloads: Payloads) -> Event:
    texts: dict[str, Any] = {
        field: _text(payload, payloads)
        for field in _PAYLOADS
        if isinstance(payload := getattr(event, field, None), bytes)
    }
    opened: Event = msgspec.structs.replace(event, **texts) if texts else event
    return opened


def _pretty(event: Event, payloads: Payloads) -> str:
    payload = next((getattr(event, field) for field in _PAYLOADS if getattr(event, field, None) is not None), b"")
    text = _text(payload, payloads)
    try:
        return msgspec.json.format(text, indent=2).decode() if len(text) > _SHORT else text.decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return text.decode(errors="replace")


def _text(payload: bytes, payloads: Payloads) -> bytes:
    try:
        return payloads.plain_text(payload)
    except Exception:  # a codec of the user's: then as it is stored
        return payload
