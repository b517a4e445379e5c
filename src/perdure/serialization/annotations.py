"""What annotations say about payloads: which types can be served, and what values of them may hold."""

from __future__ import annotations

import datetime as dt
import sys
import types
import typing
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from decimal import Decimal
from typing import Any, get_args, get_origin

import msgspec
from msgspec import inspect as shapes

from perdure.serialization.converters import Converters

_SCALARS: dict[Any, frozenset[type]] = {
    None: frozenset({type(None)}),
    float: frozenset({float, int}),
    **{
        kind: frozenset({kind})
        for kind in (
            *(str, int, bool, bytes, type(None), uuid.UUID, Decimal),
            *(dt.datetime, dt.date, dt.timedelta),
        )
    },
}
_EVERY_SCALAR = frozenset[type]().union(*_SCALARS.values())


def scalar_classes(annotation: Any) -> frozenset[type]:
    """The exact classes whose values need no further look to fit the annotation."""
    if annotation is Any:
        return _EVERY_SCALAR
    while isinstance(annotation, typing.NewType):
        annotation = annotation.__supertype__
    if is_union(annotation):
        return frozenset[type]().union(*map(scalar_classes, get_args(annotation)))
    is_class = annotation is None or isinstance(annotation, type)
    return _SCALARS.get(annotation, frozenset()) if is_class else frozenset()


def is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (typing.Union, types.UnionType)


def servable(annotation: Any) -> Any:
    """The annotation in a form that msgspec takes, with the same values."""
    if annotation in (object, typing.NoReturn, typing.Never) or isinstance(
        annotation, typing.ParamSpecArgs | typing.ParamSpecKwargs
    ):
        return Any
    if annotation is typing.LiteralString:
        return str
    if isinstance(annotation, typing.TypeVar) and annotation.__constraints__:
        return Any
    if get_origin(annotation) in (Awaitable, Coroutine):
        return servable(get_args(annotation)[-1])
    return annotation


def problems(annotation: Any, converters: Converters) -> list[str]:
    """Why values of the annotation can't be stored and read back; empty if they can."""
    try:
        converters.decoder(annotation)
        shape = shapes.type_info(annotation)
    except Exception as problem:  # msgspec raises TypeError, NameError and what the user's classes raise
        return [_reason(problem)]
    nodes = list(_nodes(shape))
    unknown = {
        node.cls for node in nodes if isinstance(node, shapes.CustomType) and not converters.can_decode(node.cls)
    }
    found = [f"no converter knows {kind.__module__}.{kind.__qualname__}" for kind in sorted(unknown, key=repr)]
    if any(
        isinstance(key, _NO_KEYS)
        for node in nodes
        if isinstance(node, shapes.DictType)
        for key in _members(node.key_type)
    ):
        found.append("keys of a dict must be text, numbers, enums, dates or UUIDs in JSON")
    return found


_NO_KEYS = (
    *(shapes.BoolType, shapes.NoneType, shapes.TupleType, shapes.VarTupleType, shapes.FrozenSetType),
    *(shapes.ListType, shapes.SetType, shapes.DictType, shapes.NamedTupleType, shapes.TypedDictType),
    *(shapes.StructType, shapes.DataclassType),
)


def _members(shape: shapes.Type) -> tuple[shapes.Type, ...]:
    return shape.types if isinstance(shape, shapes.UnionType) else (shape,)


def _reason(problem: Exception) -> str:
    text = str(problem) or type(problem).__name__
    if "more than one dataclass" in text or "more than one Struct" in text:
        text += ": JSON can't tell them apart; use msgspec.Struct classes with `tag=True`"
    elif "more than one" in text or "custom type" in text:
        text += ": JSON can't tell them apart"
    return text


class Holds(msgspec.Struct, frozen=True):
    """What values of a type may hold, judged by the type alone."""

    optional_numbers: bool
    """An inf among them is written as null and read as None: it has to be looked for."""
    sets: bool
    anything: bool
    """The type itself is Any."""


_NUMBERS = {shapes.FloatType, shapes.IntType, shapes.DecimalType}
EVERYTHING = Holds(optional_numbers=True, sets=True, anything=True)


def _is_optional_number(union: shapes.UnionType) -> bool:
    kinds = {type(member) for member in union.types}
    return shapes.NoneType in kinds and not kinds.isdisjoint(_NUMBERS)


def holds(annotation: Any) -> Holds:
    try:
        shape = shapes.type_info(annotation)
    except Exception:
        return EVERYTHING
    nodes = list(_nodes(shape))
    kinds = {type(node) for node in nodes}
    is_open = not kinds.isdisjoint({shapes.AnyType, shapes.CustomType, shapes.RawType})
    return Holds(
        optional_numbers=is_open
        or any(isinstance(node, shapes.UnionType) and _is_optional_number(node) for node in nodes),
        sets=is_open or not kinds.isdisjoint({shapes.SetType, shapes.FrozenSetType}),
        anything=any(isinstance(member, shapes.AnyType) for member in _members(shape)),
    )


def _nodes(shape: shapes.Type) -> Iterator[shapes.Type]:
    """The type and all types in it, each once; types may refer to themselves."""
    waiting: list[shapes.Type] = [shape]
    seen: dict[int, shapes.Type] = {}
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        yield node
        waiting.extend(_inner(node))


def _inner(node: shapes.Type) -> Iterator[shapes.Type]:
    for name in node.__struct_fields__:
        part = getattr(node, name)
        for inner in part if isinstance(part, tuple) else (part,):
            if isinstance(inner, shapes.Field):
                yield inner.type
            elif isinstance(inner, shapes.Type):
                yield inner


def resolve_annotations(function: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The annotations of a function with names resolved, and for each that can't be the reason."""
    target = _annotated(function)
    try:
        return typing.get_type_hints(target, include_extras=True), {}
    except Exception:
        return _resolve_each(target)


def _resolve_each(target: Any) -> tuple[dict[str, Any], dict[str, str]]:
    hints: dict[str, Any] = {}
    failed: dict[str, str] = {}
    module_names = getattr(target, "__globals__", {})
    for name, annotation in raw_annotations(target).items():
        try:
            alone = types.SimpleNamespace(__annotations__={name: annotation})
            hints.update(typing.get_type_hints(alone, module_names, include_extras=True))
        except Exception as problem:
            failed[name] = f"the annotation {annotation!r} can't be resolved: {problem}"
    return hints, failed


def raw_annotations(target: Any) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(target, format=annotationlib.Format.FORWARDREF)
    return dict(getattr(target, "__annotations__", {}))


def _annotated(function: Any) -> Any:
    """What carries the annotations: inside of partials, methods and callable objects."""
    while hasattr(function, "func") and hasattr(function, "keywords"):
        function = function.func
    if isinstance(function, types.MethodType):
        return function.__func__
    if isinstance(function, type):
        return vars(function).get("__init__", function)
    if isinstance(function, types.FunctionType | types.BuiltinFunctionType):
        return function
    return type(function).__call__ if callable(function) else function
