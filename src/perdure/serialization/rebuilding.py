"""Making an exception of a failure again, without running anybody's code.

Which class is built: `types` names the original class and its bases, nearest first, and the first one that is known
here is it. The nearest known *base* is right, and not the wrapper whenever the class itself is unknown: what a
workflow's `except` names is loaded wherever that workflow runs, so `except ValueError` catches a subclass of ValueError
no matter whether this worker has loaded the subclass, and replay on another worker takes the same way. Where only
Exception itself or perdure's own roots are known, nothing is told by them, and the wrapper says more: it has `.type`.

What is known: built-in classes, those registered, and those in modules that are loaded already. Nothing is imported, and
neither a class's `__new__` nor its `__init__` or `__setattr__` runs because a row in a database says so.
"""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Mapping
from typing import Any

import msgspec

from perdure.errors import FailureError, PayloadError, PerdureError
from perdure.model.failure import Failure
from perdure.serialization.payloads import Payloads

ORIGIN = "__perdure_failure__"
"""Attribute of an exception that says less than its failure did; recorded again, it has the original types and flag."""

_DEEPEST = 50
_HEAP_TYPE = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: the class was made by a `class` statement."""

_TELLS_NOTHING = frozenset[type]({Exception, PerdureError, FailureError})
# A subclass may have attributes of its own under these names; these are the C classes' own.
_ARGS: Any = vars(BaseException)["args"]
_CAUSE: Any = vars(BaseException)["__cause__"]
_ERRNO: Any = vars(OSError)["errno"]
_STRERROR: Any = vars(OSError)["strerror"]

_NEVER = (StopIteration, StopAsyncIteration)
"""A coroutine or future that gets one raises a RuntimeError about it instead."""


def to_exception(
    failure: Failure,
    known: Mapping[str, type[Exception]],
    wrapper: type[FailureError] = FailureError,
    payloads: Payloads | None = None,
) -> Exception:
    """The exception of a failure: of the nearest class known here, else the wrapper.

    `known` are registered classes by `module:QualName`. The traceback from there is a note; causes and the parts of
    groups are rebuilt alike. `payloads` reads `args` that were stored with codecs; without it they are the message alone.
    """
    return _Rebuilder(known, wrapper, payloads).build(failure, 0)


class _Rebuilder:
    def __init__(
        self, known: Mapping[str, type[Exception]], wrapper: type[FailureError], payloads: Payloads | None
    ) -> None:
        self._known = known
        self._wrapper = wrapper
        self._payloads = payloads

    def build(self, failure: Failure, depth: int) -> Exception:
        error = self._build_known(failure, depth)
        if error is None:  # not `or`: an exception may have a `__bool__` or `__len__`
            error = self._wrapper(failure.message, failure)
        if isinstance(error, FailureError):
            object.__setattr__(error, "failure", failure)
        elif failure.permanent or failure.types[0] != f"{type(error).__module__}:{type(error).__qualname__}":
            object.__setattr__(error, ORIGIN, failure)
        if failure.traceback:
            object.__setattr__(error, "__notes__", [f"Remote traceback:\n{failure.traceback.rstrip()}"])
        if failure.cause is not None and depth < _DEEPEST:
            _CAUSE.__set__(error, self.build(failure.cause, depth + 1))
        return error

    def _build_known(self, failure: Failure, depth: int) -> Exception | None:
        for name in failure.types:
            kind = self._find(name)
            if kind is None or kind in _TELLS_NOTHING or issubclass(kind, _NEVER):
                continue
            try:
                return self._build_group(kind, failure, depth) if _is_group(kind) else self._build_single(kind, failure)
            except (TypeError, ValueError):
                continue
        return None

    def _find(self, name: str) -> type[Exception] | None:
        if name == "builtins:BaseExceptionGroup":
            return ExceptionGroup  # whatever its parts were, they are Exceptions now
        found = self._known[name] if name in self._known else _loaded_class(name)
        return found if issubclass(type(found), type) and issubclass(found, Exception) else None  # type: ignore[arg-type, return-value]

    def _build_group(self, kind: type[Exception], failure: Failure, depth: int) -> Exception:
        if not failure.children or depth >= _DEEPEST:
            raise ValueError("a group needs parts")
        parts = [self.build(child, depth + 1) for child in failure.children]
        group: Exception = ExceptionGroup.__new__(kind, failure.message, parts)  # type: ignore[type-var]  # it is a group
        return group

    def _build_single(self, kind: type[Exception], failure: Failure) -> Exception:
        arguments = self._arguments(failure)
        if not kind.__flags__ & _HEAP_TYPE:
            try:
                return kind(*arguments)  # OSError and its kind take their attributes from the arguments
            except TypeError:
                pass
        native = next(base for base in kind.__mro__ if not base.__flags__ & _HEAP_TYPE)
        error: Exception = native.__new__(kind)  # type: ignore[call-overload]  # the C class's own, never the user's
        _ARGS.__set__(error, arguments)
        if isinstance(error, OSError) and len(arguments) > 1:
            _ERRNO.__set__(error, arguments[0])
            _STRERROR.__set__(error, arguments[1])
        return error

    def _arguments(self, failure: Failure) -> tuple[Any, ...]:
        if failure.arguments is None:
            return (failure.message,)
        try:
            if self._payloads is not None:
                return tuple(self._payloads.decode(failure.arguments, list))
            return tuple(msgspec.json.decode(failure.arguments, type=list))
        except (PayloadError, msgspec.DecodeError):
            return (failure.message,)


def _is_group(kind: type[Exception]) -> bool:
    return issubclass(kind, BaseExceptionGroup)


def _loaded_class(name: str) -> object:
    """The class of a loaded module, found in dictionaries alone: no `__getattr__`, descriptor or lazy import runs."""
    module_name, _, qualified = name.partition(":")
    module = builtins if module_name == "builtins" else sys.modules.get(module_name)
    found: object = module
    for step in qualified.split("."):
        names = _names(found)
        if names is None or step not in names:
            return None
        found = names[step]
    return found


def _names(holder: object) -> Mapping[str, object] | None:
    """What a module or class itself holds. `isinstance` would ask a lazy module for its `__class__`, which loads it."""
    kind = type(holder)
    if issubclass(kind, type):
        return vars(type)["__dict__"].__get__(holder)  # type: ignore[no-any-return]
    if issubclass(kind, types.ModuleType):
        return vars(types.ModuleType)["__dict__"].__get__(holder)  # type: ignore[no-any-return]
    return None
