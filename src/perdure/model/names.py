"""Which ids, names and queues every store takes."""

from __future__ import annotations

from perdure.errors import InvalidName

LONGEST = 255
DEFAULT_QUEUE = "default"
OWN_NAMES = "perdure:"
"""So begin the names of workflows that are perdure's own."""
OWN_VERSION = "perdure"
"""The version of their instances. They are of no version of the user's code, so every worker may have them."""


def check_name(value: str, what: str) -> str:
    """`value`, if it is 1-255 bytes of UTF-8 without NUL; `what` names it in the error."""
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidName(f"{what} is {value!r}: it must be a str")
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError as problem:
        raise InvalidName(f"{what} {value!r} isn't valid Unicode: {problem.reason}") from None
    if not 0 < size <= LONGEST:
        raise InvalidName(f"{what} {value[:60]!r} has {size} bytes of UTF-8: it must have 1 to {LONGEST}")
    if "\0" in value:
        raise InvalidName(f"{what} {value!r} contains a NUL character")
    return value
