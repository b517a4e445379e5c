"""An exception as data, so that it can cross a process or a month. `rebuilding` makes exceptions of it again."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

from perdure.errors import FailureError, PayloadError, PermanentError
from perdure.model.failure import Failure
from perdure.serialization.payloads import Payloads
from perdure.serialization.rebuilding import ORIGIN, to_exception

__all__ = ["to_exception", "to_failure"]

_MOST_TEXT = 16_000
_MOST_FRAMES = 50
_MOST_TYPES = 50
_MOST_ARGUMENT_BYTES = 16_000
_DEEPEST = 20
_MOST_NODES = 100
_MOST_LOOKED_AT = 10_000

# A subclass may have attributes of its own under these names; these are the C classes' own.
_ARGS: Any = vars(BaseException)["args"]
_PARTS: Any = vars(BaseExceptionGroup)["exceptions"]
_GROUP_MESSAGE: Any = vars(BaseExceptionGroup)["message"]


def to_failure(error: BaseException, payloads: Payloads) -> Failure:
    """The exception with its causes and the parts of its groups as data; texts and numbers are bounded.

    Never raises an Exception, whatever the exception's own methods do. One of perdure's wrappers (ActivityError, say)
    crosses as the failure that it carries, so that an original type is still known after several levels.
    """
    try:
        return _Recorder(payloads).record(error, 0)
    except Exception:  # a metaclass can make even the name of a class fail
        return Failure(types=("builtins:Exception",), message="<an exception that can't be read>")


class _Recorder:
    """Records one exception; the bounds are for all of its causes and parts together."""

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._seen: set[int] = set()

    def record(self, error: BaseException, depth: int) -> Failure:
        self._seen.add(id(error))
        carried = _carried(error)
        if carried is not None:
            return carried
        cause = _cause(error)
        children = _children(error)
        kept = [child for child in children if self._takes(child, depth)] if children else []
        has_cause = cause is not None and self._takes(cause, depth)
        origin = _origin(error)
        return Failure(
            types=_types(type(error)) if origin is None else origin.types,
            message=_message(error),
            arguments=self._arguments(error),
            traceback=_traceback(error),
            cause=self.record(cause, depth + 1) if cause is not None and has_cause else None,
            children=tuple(self.record(child, depth + 1) for child in kept),
            permanent=isinstance(error, PermanentError)
            or (origin is not None and origin.permanent)
            or self._drops_permanent(cause, has_cause, children, kept),
        )

    def _takes(self, error: BaseException, depth: int) -> bool:
        """Whether there is room for it; marks its place."""
        if id(error) in self._seen or depth >= _DEEPEST or len(self._seen) >= _MOST_NODES:
            return False
        self._seen.add(id(error))
        return True

    def _drops_permanent(
        self,
        cause: BaseException | None,
        has_cause: bool,
        children: tuple[BaseException, ...],
        kept: list[BaseException],
    ) -> bool:
        """Whether something that isn't recorded for want of room stops retries: that mustn't be lost with it."""
        dropped = [child for child in children if not any(child is one for one in kept)]
        if cause is not None and not has_cause:
            dropped.append(cause)
        return any(isinstance(error, PermanentError) for error in _chain(dropped))

    def _arguments(self, error: BaseException) -> bytes | None:
        try:
            arguments = _ARGS.__get__(error)
            if not _is_plain(list(arguments), 0):
                return None
            encoded = self._payloads.encode(list(arguments))
        except (PayloadError, RecursionError, ValueError):
            return None
        return encoded if len(encoded) <= _MOST_ARGUMENT_BYTES else None


def _carried(error: BaseException) -> Failure | None:
    """What a wrapper of perdure's own carries; a user's subclass crosses as itself."""
    if isinstance(error, FailureError) and type(error).__module__ == FailureError.__module__:
        return getattr(error, "failure", None)
    return None


def _origin(error: BaseException) -> Failure | None:
    """What an exception was rebuilt of, if its class is only a base of the original one."""
    found = object.__getattribute__(error, "__dict__").get(ORIGIN)
    return found if isinstance(found, Failure) else None


def _cause(error: BaseException) -> BaseException | None:
    """What Python would show as the cause."""
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _children(error: BaseException) -> tuple[BaseException, ...]:
    if not isinstance(error, BaseExceptionGroup):
        return ()
    children: tuple[BaseException, ...] = _PARTS.__get__(error)
    return children


def _chain(errors: list[BaseException]) -> Iterator[BaseException]:
    """All causes and parts, each once."""
    waiting = list(errors)
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_LOOKED_AT:
        error = waiting.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        cause = _cause(error)
        waiting.extend(_children(error) if cause is None else (*_children(error), cause))


def _types(kind: type[BaseException]) -> tuple[str, ...]:
    bases = [base for base in kind.__mro__ if base not in (object, BaseException)]
    return tuple(_clean(f"{base.__module__}:{base.__qualname__}") for base in bases[:_MOST_TYPES])


def _message(error: BaseException) -> str:
    try:
        if isinstance(error, BaseExceptionGroup):
            return _clean(_GROUP_MESSAGE.__get__(error))  # str() adds a count
        return _clean(str(error))
    except Exception:
        return f"<{type(error).__qualname__}: its message can't be read>"


def _traceback(error: BaseException) -> str:
    """Without its causes, which have their own."""
    try:
        shown = traceback.TracebackException(type(error), error, error.__traceback__, limit=-_MOST_FRAMES, compact=True)
        shown.__cause__ = shown.__context__ = None
        if isinstance(error, BaseExceptionGroup):
            shown.exceptions = None
        return _clean("".join(shown.format(chain=False)))
    except Exception:
        return ""


def _clean(text: str) -> str:
    """Text that any store takes, its middle left out if it is long."""
    if len(text) > _MOST_TEXT:
        half = _MOST_TEXT // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half} characters …\n{text[-half:]}"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _is_plain(value: object, depth: int) -> bool:
    """Whether JSON gives back exactly this."""
    if value is None or type(value) in (bool, int, float, str):
        return True
    if depth >= _DEEPEST:
        return False
    if type(value) is list:
        return all(_is_plain(item, depth + 1) for item in value)
    if type(value) is dict:
        return all(type(key) is str and _is_plain(item, depth + 1) for key, item in value.items())
    return False
