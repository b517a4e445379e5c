"""What a tool of the server is: a name, a description, its arguments, and who answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

import msgspec

from perdure.diagnostics.actions.desk import Desk
from perdure.diagnostics.actions.results import Result
from perdure.diagnostics.look import Look


@dataclass(frozen=True, kw_only=True)
class Services:
    """What tools read and act through. The `caller` is the agent's program, by its own account."""

    look: Look
    desk: Desk
    caller: str = ""


class NotDone(Exception):
    """Ends a call with an error that says why, and what to do."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.message)
        self.result = result


Handler = Callable[[Services, Any], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool. The handler gives JSON; NotDone and any PerdureError that it raises are told to the agent."""

    name: str
    description: str
    arguments: type[msgspec.Struct]
    handler: Handler
    is_reading: bool
    is_final: bool = False

    def schema(self) -> dict[str, Any]:
        """Of its arguments, an object at the root: what it refers to stands beside."""
        _, parts = msgspec.json.schema_components([self.arguments], ref_template="#/$defs/{name}")
        root = parts.pop(self.arguments.__name__)
        shown = {name: value for name, value in root.items() if name not in ("title", "description")}
        return {**shown, "$defs": parts} if parts else shown


def reading(handler: Handler) -> Tool:
    """A tool that reads, described by its handler: its name, its docstring, and the annotation of its arguments."""
    return Tool(
        name=handler.__name__,
        description=" ".join((handler.__doc__ or "").split()),
        arguments=get_type_hints(handler)["given"],
        handler=handler,
        is_reading=True,
    )
