"""Binding the arguments of a call to a function's parameters, and back."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable
from typing import Any, Unpack, get_args, get_origin

import msgspec

from perdure.errors import ArgumentsError, ConfigurationError
from perdure.serialization.annotations import resolve_annotations, servable

EMPTY: Any = inspect.Parameter.empty
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class BoundParameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter as it stands in a payload. `annotation` is of the payload's element: a list for `*args`."""

    name: str
    label: str
    """As in messages: `*rest`, `**options`."""
    kind: inspect._ParameterKind
    annotation: Any
    default: Any = EMPTY
    problem: str | None = None
    """Why the annotation couldn't be resolved; it counts as Any then."""


class Binding:
    """The parameters of a function, less the first `skip`, in the order in which a payload has them."""

    def __init__(self, function: Callable[..., Any], skip: int) -> None:
        self.name: str = getattr(function, "__qualname__", repr(function)).rpartition("<locals>.")[2]
        hints, failed = resolve_annotations(function)
        signature = _signature(function, self.name)
        kept = list(signature.parameters.values())[skip:]
        self._signature = signature.replace(parameters=kept)
        self.parameters = tuple(_bound(parameter, hints, failed) for parameter in kept)
        self.returns: Any = servable(hints.get("return", Any))
        self.returns_problem: str | None = failed.get("return")
        self._positional = sum(1 for parameter in kept if parameter.kind in _POSITIONAL)
        self._is_variadic = any(parameter.kind in _VARIADIC for parameter in kept)
        has_keyword_only = any(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in kept)
        self.simple_count = -1 if self._is_variadic or has_keyword_only else len(kept)
        """Exactly so many positional arguments need no binding; -1: every call needs it."""

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """One value per parameter, defaults filled in: what was recorded mustn't change with a default.

        Raises:
            ArgumentsError: the call doesn't fit the signature.
        """
        values = None if self._is_variadic else self._bind_quickly(args, kwargs)
        return self._bind_by_signature(args, kwargs) if values is None else tuple(values)

    def unbind(self, values: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call again. There may be fewer values than parameters: the function's own defaults stand for the rest."""
        if not self._is_variadic and len(values) <= self._positional:
            return values, {}
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for parameter, value in zip(self.parameters, values, strict=False):
            if parameter.kind in _POSITIONAL:
                args.append(value)
            elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                args.extend(value)
            elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                kwargs[parameter.name] = value
            else:
                kwargs.update(value)
        return tuple(args), kwargs

    def _bind_quickly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any] | None:
        """None when the call is wrong or too rich; `_bind_by_signature` knows what to say then."""
        if len(args) > self._positional:
            return None
        values = list(args)
        used = 0
        for parameter in self.parameters[len(args) :]:
            if parameter.name in kwargs and parameter.kind is not inspect.Parameter.POSITIONAL_ONLY:
                values.append(kwargs[parameter.name])
                used += 1
            elif parameter.default is not EMPTY:
                values.append(parameter.default)
            else:
                return None
        return values if used == len(kwargs) else None

    def _bind_by_signature(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as problem:
            raise ArgumentsError(f"{self.name}(): {problem}") from None
        bound.apply_defaults()
        return tuple(bound.arguments[parameter.name] for parameter in self.parameters)


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _signature(function: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        if sys.version_info >= (3, 14):
            import annotationlib

            return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
        return inspect.signature(function)
    except (TypeError, ValueError) as problem:
        raise ConfigurationError(f"{name} doesn't tell its parameters: wrap it in a function of your own") from problem


def _bound(parameter: inspect.Parameter, hints: dict[str, Any], failed: dict[str, str]) -> BoundParameter:
    name, default = parameter.name, parameter.default
    annotation = servable(hints.get(name, Any))
    label = name
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        label = f"*{name}"
        annotation = list[Any] if get_origin(annotation) is Unpack else types.GenericAlias(list, annotation)
    elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
        label = f"**{name}"
        annotation = (
            get_args(annotation)[0] if get_origin(annotation) is Unpack else types.GenericAlias(dict, (str, annotation))
        )
    elif default is None:
        annotation = annotation | None if annotation is not Any else Any  # `x: int = None`, as it used to be written
    return BoundParameter(
        name=name,
        label=label,
        kind=parameter.kind,
        annotation=annotation,
        default=default,
        problem=failed.get(name),
    )
