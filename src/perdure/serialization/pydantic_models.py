"""pydantic's models as payloads, when the user's code has loaded pydantic; it is never imported from here.

A model is written and read by pydantic itself, in JSON mode (strict models take a date as text there alone) and by
field names rather than aliases, so that what was written can always be read.
"""

from __future__ import annotations

import sys
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec


def _loaded() -> Any:
    return sys.modules.get("pydantic")


def is_model(kind: object) -> bool:
    """Whether it is a class of pydantic's models."""
    pydantic = _loaded()
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


class PydanticConverter:
    """Claims every subclass of pydantic.BaseModel."""

    def claims(self, kind: type, /) -> bool:
        return is_model(kind)

    def encode(self, value: Any, /) -> object:
        text: str = value.model_dump_json(round_trip=True, **_dump_names())
        return msgspec.Raw(text.encode())

    def decode(self, data: Any, annotation: Any, /) -> Any:
        return annotation.model_validate_json(msgspec.json.encode(data), **_validate_names())

    def opened(self, value: Any) -> object:
        """The model as a dict in which sets are still sets and numbers numbers."""
        return value.model_dump(round_trip=True, **_dump_names())


def _has_name_flags() -> bool:
    """Since 2.11 a model is read by its field names whatever its aliases."""
    major, minor = _loaded().VERSION.split(".")[:2]
    return (int(major), int(minor)) >= (2, 11)


def _dump_names() -> dict[str, bool]:
    return {"by_alias": not _has_name_flags()}


def _validate_names() -> dict[str, bool]:
    return {"by_name": True} if _has_name_flags() else {}


class AdaptedType(type):
    """A class that stands for an annotation only pydantic can serve, such as a union of two models."""

    adapter: Any

    def __instancecheck__(cls, instance: object) -> bool:
        return True  # msgspec asks it of what `read` gave

    def read(cls, data: object) -> Any:
        return cls.adapter.validate_json(msgspec.json.encode(data), **_validate_names())


def adapted(annotation: Any) -> AdaptedType | None:
    """A stand-in for an annotation with unions of models that JSON tells apart; None if pydantic can't serve it either.

    pydantic would take any union and guess; what it can't be sure of is refused, as it is for other classes.
    """
    if not _mentions_model(annotation) or not _tells_apart(annotation):
        return None
    try:
        adapter = _loaded().TypeAdapter(annotation)
    except Exception:
        return None
    return AdaptedType("Adapted", (), {"adapter": adapter})


def _mentions_model(annotation: Any) -> bool:
    return is_model(annotation) or any(_mentions_model(argument) for argument in get_args(annotation))


def _tells_apart(annotation: Any) -> bool:
    """Whether each union in it has a discriminator, or a field by whose Literals its models differ."""
    members = get_args(annotation)
    if get_origin(annotation) is Annotated and any(_is_discriminator(part) for part in members[1:]):
        return True
    if get_origin(annotation) in (Union, types.UnionType):
        records = [member for member in members if isinstance(member, type) and not _is_simple(member)]
        if len(records) > 1 and not _differ_by_a_literal(records):
            return False
    return all(_tells_apart(member) for member in members)


def _is_discriminator(metadata: object) -> bool:
    return getattr(metadata, "discriminator", None) is not None


def _is_simple(kind: type) -> bool:
    return kind in (str, int, float, bool, type(None))


def _differ_by_a_literal(models: list[type]) -> bool:
    if not all(is_model(model) for model in models):
        return False
    fields = [model.model_fields for model in models]  # type: ignore[attr-defined]  # they are models
    shared = set(fields[0]).intersection(*fields[1:])
    return any(_are_disjoint_literals([own[name].annotation for own in fields]) for name in shared)


def _are_disjoint_literals(annotations: list[Any]) -> bool:
    if any(get_origin(annotation) is not Literal for annotation in annotations):
        return False
    values = [value for annotation in annotations for value in get_args(annotation)]
    return len(values) == len(set(values))
