"""The token of a running attempt, as text: whoever has it can end the attempt from another process."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Self

import msgspec

from perdure.errors import ConfigurationError
from perdure.model.task import ActivityTask

_VERSION = 1


class ActivityToken(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What `CompleteActivityTask` needs, and the instance for messages. The text is safe in URLs and file names."""

    version: int = _VERSION
    activity_key: int
    token: int
    instance_id: str
    name: str
    """The activity's."""

    @classmethod
    def of(cls, task: ActivityTask) -> Self:
        """The token of the attempt that a worker has."""
        return cls(activity_key=task.activity_key, token=task.token, instance_id=task.instance_id, name=task.name)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ConfigurationError if that isn't a token."""
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            found = msgspec.msgpack.decode(raw, type=cls)
        except (binascii.Error, UnicodeEncodeError, ValueError) as problem:
            raise ConfigurationError(
                f"{text[:60]!r} isn't an activity's token: pass what activity_context().token gave, unchanged"
            ) from problem
        if found.version != _VERSION:
            raise ConfigurationError(f"the token is of version {found.version}, made by another release of perdure")
        return found

    def __str__(self) -> str:
        return urlsafe_b64encode(msgspec.msgpack.encode(self)).rstrip(b"=").decode()
