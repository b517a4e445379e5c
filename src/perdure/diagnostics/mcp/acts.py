"""The tools that act: one for each action that is allowed, made from their table, each with a confirmation of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from perdure.diagnostics.actions.inputs import Inputs
from perdure.diagnostics.actions.orders import order_of
from perdure.diagnostics.actions.table import ACTIONS, Action, ActionName
from perdure.diagnostics.mcp.tools import NotDone, Services, Tool

_FINAL = " It can't be taken back."
_Confirmation = Annotated[
    bool,
    Meta(
        description="True only if the user has agreed to exactly this, on exactly this target. Without it nothing is done, and the "
        "answer says what would be."
    ),
]


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done, had it been confirmed."""

    is_done: bool = False
    would_do: str
    target: str
    what_to_do: str = "Ask the user. If they agree, call this again with confirm set to true."


def tools_for(names: Iterable[ActionName]) -> tuple[Tool, ...]:
    return tuple(_acting(ACTIONS[name]) for name in names)


def _acting(action: Action) -> Tool:
    async def act(services: Services, given: Any) -> str:
        told = msgspec.structs.asdict(given)
        target_id, is_confirmed = told.pop("id"), told.pop("confirm")
        if not is_confirmed:
            return msgspec.json.encode(Proposal(would_do=action.does, target=f"{action.kind} {target_id}")).decode()
        result = await services.desk.do(services.caller, action.name, target_id, Inputs(**told))
        if not result.is_done:
            raise NotDone(result)
        return msgspec.json.encode(result).decode()

    return Tool(
        name=action.name,
        description=f"On one {action.kind}, by its id: {action.does}{_FINAL if action.is_final else ''}",
        arguments=order_of(action, ("confirm", _Confirmation, False)),
        handler=act,
        is_reading=False,
        is_final=action.is_final,
    )
