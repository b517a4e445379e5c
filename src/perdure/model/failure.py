"""An exception as data: what is left of it once it has crossed a process or a month."""

from __future__ import annotations

import msgspec


class Failure(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One exception with its cause. Fields are only ever added at the end.

    `types` names the class and its bases, nearest first, as `module:QualName`, without `object` and
    `BaseException`; a receiver builds the first one that it knows.
    """

    types: tuple[str, ...]
    message: str
    arguments: bytes | None = None
    """`args` as a payload, if they are plain data."""
    traceback: str = ""
    cause: Failure | None = None
    children: tuple[Failure, ...] = ()
    """The parts of an ExceptionGroup."""
    permanent: bool = False
    """No retry will help."""

    @property
    def type_name(self) -> str:
        return self.types[0].partition(":")[2] if self.types else "Exception"

    def is_type(self, name: str) -> bool:
        """Whether one of the classes has this qualified name, with or without its module."""
        return any(name in (known.partition(":")[2], known.replace(":", ".")) for known in self.types)


def plain_failure(type_name: str, message: str, *, module: str = "perdure.errors", permanent: bool = False) -> Failure:
    """A failure that perdure itself makes, without a traceback."""
    return Failure(types=(f"{module}:{type_name}", "builtins:Exception"), message=message, permanent=permanent)
