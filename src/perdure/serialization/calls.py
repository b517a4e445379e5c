"""The payload of a call: a JSON array of its arguments, one element per parameter.

Keyword-only arguments follow the positional ones, `*args` is a nested array and `**kwargs` an object. Defaults are
filled in when the call is recorded, so that a later change of a default doesn't change what was asked for; an array may
be too short for today's signature if the missing parameters have defaults, never too long: an argument that nobody
reads any more could be the one that said `dry_run`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from perdure.errors import ArgumentsError, DecodeError, EncodeError
from perdure.serialization.annotations import holds, problems, scalar_classes
from perdure.serialization.binding import EMPTY, Binding, BoundParameter
from perdure.serialization.canonical import digest, digest_of_scalars, sort_sets
from perdure.serialization.codecs import MARK
from perdure.serialization.converters import Converters
from perdure.serialization.values import ValueSchema, describe, fits, split_position, to_text
from perdure.serialization.walking import complete_dataclasses, find_failing, find_non_finite, has_non_finite

_MOST_PROVEN = 64
_as_tuple = msgspec.structs.astuple


class EncodedCall(NamedTuple):
    """A call's arguments as stored, and 16 bytes that are the same for the same arguments (before codecs)."""

    payload: bytes
    digest: bytes


class Sealing(NamedTuple):
    """What happens to every JSON text on its way into the store and out of it: codecs and the limit."""

    close: Callable[[bytes, str], bytes]
    """(text, what it is) -> payload."""
    open: Callable[[bytes], bytes]
    limit: int
    """A text of up to so many bytes needs no `close`."""


class CallReader(Protocol):
    """What replay, and the end of a sub-workflow, ask of a schema."""

    def is_same_call(self, recorded: bytes, issued: bytes) -> bool: ...
    def decode_result(self, payload: bytes) -> Any: ...


class _Unread:
    """Of calls that are passed on as they are stored: other bytes are another call, and the result is nobody's."""

    def is_same_call(self, recorded: bytes, issued: bytes) -> bool:
        return recorded == issued

    def decode_result(self, payload: bytes) -> None: ...


UNREAD: CallReader = _Unread()


class CallSchema:
    """How calls of one function are written and read. Made by `Payloads.call`."""

    def __init__(self, function: Callable[..., Any], skip: int, converters: Converters, sealing: Sealing) -> None:
        self._binding = Binding(function, skip)
        self._converters = converters
        self._sealing = sealing
        self._limit = sealing.limit
        self._simple_count = self._binding.simple_count
        self._to_text = converters.encode
        self._slots = tuple(_Slot(parameter, converters) for parameter in self._binding.parameters)
        self._optional_numbers = any(slot.holds.optional_numbers for slot in self._slots)
        self._sets = any(slot.holds.sets for slot in self._slots)
        self._decode = converters.decoder(_array_type(self._slots))
        self._is_optional = not all(slot.is_required for slot in self._slots)
        self._proven: dict[tuple[type, ...], bool] = {}
        self._result: ValueSchema | None = None

    @property
    def name(self) -> str:
        """The function's name, as messages have it."""
        return self._binding.name

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> EncodedCall:
        """Bind, check and write a call.

        Raises:
            ArgumentsError: the arguments don't fit the signature or the annotations.
            EncodeError: an argument can't be written; `path` begins with the parameter's name.
            PayloadTooLarge: all of them together are over the limit.
        """
        if kwargs or len(args) != self._simple_count:
            args = self._binding.bind(args, kwargs)
        try:
            text = self._to_text(args)
        except Exception as problem:
            raise self._not_encodable(args, problem) from problem
        kinds = tuple(map(type, args))
        has_float = self._proven.get(kinds)
        if has_float is None:
            text = self._check(args, kinds, text)
            digested = digest(text)
        else:
            if has_float and b"null" in text:
                self._refuse_non_finite(args)
            digested = digest_of_scalars(text)
        payload = text if len(text) <= self._limit else self._sealing.close(text, f"the call of {self.name}")
        return _new_encoded(EncodedCall, (payload, digested))

    def encode_plain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> EncodedCall:
        """`encode` for arguments that are plain data, as JSON has them: first they become what the annotations say."""
        bound = self._binding.bind(args, kwargs)
        try:
            values: tuple[Any, ...] = _as_tuple(self._decode(self._to_text(bound)))
        except Exception as problem:  # a converter may raise anything
            reason, path = self._named(problem)
            raise ArgumentsError(f"{self.name}(): {path}{reason}") from problem
        return self.encode(*self._binding.unbind(values))

    def decode(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a stored call, typed. Raises DecodeError."""
        # The text of a call is an array; whatever begins otherwise is for the codecs.
        text = payload if payload[:1] == b"[" else self._sealing.open(payload)
        try:
            values: tuple[Any, ...] = _as_tuple(self._decode(text))
        except Exception as problem:  # a converter may raise anything
            reason, path = self._named(problem)
            raise DecodeError(f"the stored call of {self.name} doesn't fit: {path}{reason}") from problem
        if len(values) == self._simple_count and not self._is_optional:
            return values, {}
        return self._binding.unbind(_given(values))

    def digest_with_todays_types(self, payload: bytes) -> bytes:
        """The digest that the stored call would have if it were made today.

        A field or parameter added since then, with a default, is filled in. Compare it with what this gives for the
        other call too, not with that call's own digest: reading makes `3` given for a float a `3.0`, for instance.
        """
        args, kwargs = self.decode(payload)
        values = self._binding.bind(args, kwargs)
        for value in values:
            complete_dataclasses(value, self._converters)
        text = to_text(values, self._converters)
        return digest(sort_sets(text, values, self._converters) if self._sets else text)

    def is_same_call(self, recorded: bytes, issued: bytes) -> bool:
        """Whether two payloads whose digests differ are the same call to today's types. Raises DecodeError."""
        return self.digest_with_todays_types(recorded) == self.digest_with_todays_types(issued)

    def encode_result(self, value: object) -> bytes:
        """What the function returned, as its return annotation has it. Raises EncodeError, PayloadTooLarge."""
        try:
            text = (self._result or self._result_schema()).encode(value)
        except EncodeError as problem:
            raise EncodeError(f"the result of {self.name}: {problem}", problem.path) from problem
        return text if len(text) <= self._limit else self._sealing.close(text, f"the result of {self.name}")

    def decode_result(self, payload: bytes) -> Any:
        """Raises DecodeError."""
        text = self._sealing.open(payload) if payload[:1] == MARK else payload
        try:
            return (self._result or self._result_schema()).decode(text)
        except DecodeError as problem:
            raise DecodeError(f"the result of {self.name}: {problem}") from problem

    def check(self) -> list[str]:
        """What is wrong with the annotations, one sentence for each parameter and for the result."""
        found = [f"parameter {slot.label}: {problem}" for slot in self._slots for problem in slot.problems()]
        returns = self._binding.returns
        wrong = self._binding.returns_problem
        reasons = [wrong] if wrong else problems(self._converters.decodable(returns), self._converters)
        return found + [f"the result, {describe(returns)}: {reason}" for reason in reasons]

    def _result_schema(self) -> ValueSchema:
        if self._result is None:
            self._result = ValueSchema(self._binding.returns, self._converters)
        return self._result

    def _check(self, args: tuple[Any, ...], kinds: tuple[type, ...], text: bytes) -> bytes:
        """The text with sets in order, once it is sure that reading it gives what was meant."""
        if self._optional_numbers and b"null" in text:
            self._refuse_non_finite(args)
        if self._sets:
            text = sort_sets(text, args, self._converters)
        try:
            decoded = _as_tuple(self._decode(text))
        except Exception as problem:
            self._refuse_non_finite(args)
            reason, path = self._named(problem)
            raise ArgumentsError(f"{self.name}(): {path}{reason}") from problem
        for slot, given, came_back in zip(self._slots, args, decoded, strict=True):
            if type(given) is not type(came_back) and not slot.holds.anything and not fits(given, came_back):
                wrong = f"expected {describe(slot.annotation)}, got {type(given).__qualname__}"
                raise ArgumentsError(f"{self.name}(): {slot.label}: {wrong}")
        self._remember(kinds)
        return text

    def _remember(self, kinds: tuple[type, ...]) -> None:
        """Arguments of these classes fit whatever their values, if all are scalars; the next call skips the check."""
        is_sure = all(kind in slot.sure for kind, slot in zip(kinds, self._slots, strict=True))
        if is_sure and len(self._proven) < _MOST_PROVEN:
            self._proven[kinds] = float in kinds

    def _refuse_non_finite(self, args: tuple[Any, ...]) -> None:
        if not has_non_finite(args, self._converters):
            return
        for slot, value in zip(self._slots, args, strict=True):
            path = find_non_finite(value, self._converters)
            if path is not None:
                path = slot.name + path
                raise EncodeError(
                    f"{self.name}(): {path}: inf and nan can't be stored: JSON has no numbers for them", path
                )

    def _not_encodable(self, args: tuple[Any, ...], problem: Exception) -> EncodeError:
        if isinstance(problem, RecursionError):
            return EncodeError(f"{self.name}(): an argument is nested too deeply, or holds itself")
        for slot, value in zip(self._slots, args, strict=True):
            try:
                self._to_text(value)
            except Exception:
                path = slot.name + find_failing(value, self._converters, self._to_text)
                return EncodeError(f"{self.name}(): {path}: {problem}", path)
        return EncodeError(f"{self.name}(): {problem}")

    def _named(self, problem: Exception) -> tuple[str, str]:
        """The reason, and the path with the parameter's name in the place of its index, as in `order.items[3]: `."""
        reason, position = split_position(problem)
        index, _, rest = position.removeprefix("[").partition("]")
        if not index.isdigit():
            return reason, f"{position}: " if position else ""
        return reason, f"{self._slots[int(index)].label}{rest}: "


def _given(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Those that the array had: parameters added since then are unset."""
    count = len(values)
    while count and values[count - 1] is msgspec.UNSET:
        count -= 1
    return values[:count]


_new_encoded = tuple.__new__  # half the time of calling the class


class _Slot:
    """A parameter with what its annotation means."""

    def __init__(self, parameter: BoundParameter, converters: Converters) -> None:
        self._parameter = parameter
        self._converters = converters
        self.name = parameter.name
        self.label = parameter.label
        self.annotation = parameter.annotation
        self.is_required = parameter.default is EMPTY and not parameter.label.startswith("*")
        decodable = converters.decodable(parameter.annotation)
        self._annotation_problems = problems(decodable, converters)
        self.decodable: Any = Any if self._annotation_problems else decodable
        """Any for what `check` reports: without registration a call goes on as well as it can."""
        self.holds = holds(self.decodable)
        self.sure = scalar_classes(self.decodable)

    def problems(self) -> list[str]:
        if self._parameter.problem:
            return [self._parameter.problem]
        return self._annotation_problems or self._default_problems()

    def _default_problems(self) -> list[str]:
        default = self._parameter.default
        if default is EMPTY:
            return []
        try:
            ValueSchema(self.decodable, self._converters).encode(default)
        except EncodeError as problem:
            return [f"its default {default!r} can't be stored: {problem}"]
        return []


def _array_type(slots: tuple[_Slot, ...]) -> type[msgspec.Struct]:
    """A Struct that is read from an array and knows which elements may be missing."""
    fields = [
        (f"p{index}", slot.decodable) if slot.is_required else (f"p{index}", slot.decodable, msgspec.UNSET)
        for index, slot in enumerate(slots)
    ]
    return msgspec.defstruct("Arguments", fields, array_like=True, kw_only=True, forbid_unknown_fields=True)
