"""Orders: what a program sends to have an action done, as a struct that is made from the action's row."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from perdure.diagnostics.actions.inputs import Inputs
from perdure.diagnostics.actions.table import Action


def order_of(action: Action, *more: tuple[str, Any, Any]) -> type[msgspec.Struct]:
    """A struct of the target's `id` and the inputs that the action takes, typed as `Inputs` has them; `more` are further fields."""
    known = {field.name: field for field in msgspec.structs.fields(Inputs)}
    fields: list[Any] = [("id", Annotated[str, Meta(description=f"Of the {action.kind}.")])]
    for given in action.inputs:
        field = known[given.name]
        kind = Annotated[field.type, Meta(description=given.help)]  # type: ignore[name-defined]  # a type of this moment
        fields.append((field.name, kind) if given.is_required else (field.name, kind, field.default))
    title = "".join(word.title() for word in action.name.split("_"))
    return msgspec.defstruct(
        f"{title}Order",
        [*fields, *more],
        namespace={"__doc__": action.does},
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )
