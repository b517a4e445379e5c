"""What can be asked: the parameters of each operation, read from the query and described from the same structs."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.datastructures import QueryParams

from perdure.client.filters import Filters
from perdure.diagnostics.actions.conditions import Conditions
from perdure.diagnostics.api.problems import invalid
from perdure.diagnostics.views.timeline import BarKind
from perdure.model.names import check_name

Q = TypeVar("Q", bound=Struct)

_MOST = 2**53
"""JSON's numbers end there for most who read it."""

Position = Annotated[int, Meta(ge=0, le=_MOST)]
ExecutionId = Annotated[
    str, Meta(pattern="^[0-9a-f]{32}$", description="Of one execution; by default the current one.")
]


class Nothing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """No parameters."""


class CountsQuery(Conditions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which instances are counted."""

    tags: Annotated[tuple[str, ...], Meta(description="Each as in name=value.")] = ()

    def filters(self) -> Filters:
        return self.filters_with(_tags(self.tags))


class InstancesQuery(CountsQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which instances are listed."""

    cursor: Annotated[str, Meta(description="What the last page gave.", max_length=100)] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class InstanceQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which instance."""

    id: str

    def __post_init__(self) -> None:
        check_name(self.id, "an id")


class RunQuery(InstanceQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    execution: ExecutionId | None = None


class HistoryQuery(RunQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: Annotated[int, Meta(ge=-1, le=_MOST, description="Events behind this position.")] = -1
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    kinds: Annotated[tuple[str, ...], Meta(description="Of these kinds alone, as in ActivityScheduled.")] = ()
    text: Annotated[str, Meta(description="Whose summary, fields or payloads hold this.", max_length=1000)] = ""


class EventQuery(InstanceQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    execution: ExecutionId
    position: Position


class PayloadQuery(EventQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(description="The payload's name in its event.")]


class TimelineQuery(RunQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    first: Annotated[int, Meta(ge=0, le=_MOST, description="So many bars are left out before.")] = 0
    limit: Annotated[int, Meta(ge=1, le=2000)] = 500
    kinds: tuple[BarKind, ...] = ()


class TreeQuery(InstanceQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=2000)] = 500


class WhereQuery(InstanceQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    with_code: Annotated[bool, Meta(description="Whether its code is replayed, to tell the line.")] = True


class ThroughputQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seconds: Annotated[int, Meta(ge=1, le=30 * 86_400, description="The time that is looked back.")] = 300
    queue: Annotated[str, Meta(pattern="^[^\\x00]*$")] | None = None


class SchedulesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200


def read_query(given: QueryParams, kind: type[Q]) -> Q:
    """The parameters; those that are lists may be repeated. Raises Problem."""
    lists = {field.name for field in msgspec.structs.fields(kind) if field.default == ()}
    values: dict[str, Any] = {}
    for name in given:
        several = given.getlist(name)
        if name not in lists and len(several) > 1:
            raise invalid(f"{name} is given {len(several)} times: once is enough")
        values[name] = several if name in lists else several[0]
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as problem:
        names = ", ".join(field.name for field in msgspec.structs.fields(kind)) or "none"
        raise invalid(str(problem), f"The parameters are: {names}.") from None


def _tags(given: tuple[str, ...]) -> dict[str, str] | None:
    for each in given:
        if "=" not in each:
            raise invalid(f"tags: {each!r} isn't name=value")
    return dict(each.split("=", 1) for each in given) or None
