"""The limits of queues, as operators set them."""

from __future__ import annotations

from math import isfinite

import msgspec

from perdure.backends.protocol import Inspection
from perdure.client.repeating import repeat
from perdure.errors import ConfigurationError
from perdure.model.inspection import QueueLimits, SettingKind
from perdure.model.names import check_name

_NO_LIMITS = QueueLimits()


class Queues:
    """Limits of queues, over all workers of a store: `client.queues`.

    They hold for activities, from each worker's next claim on; what runs goes on. Workflow code isn't held up. A queue may
    be limited before anything was put on it. Of two changes of one queue at the same moment one may be lost.
    """

    __slots__ = ("_store",)

    def __init__(self, store: Inspection) -> None:
        self._store = store

    async def limits(self) -> dict[str, QueueLimits]:
        """By queue; queues without limits are left out."""
        settings = await repeat(lambda: self._store.list_settings(SettingKind.QUEUE))
        return {queue: msgspec.json.decode(value, type=QueueLimits) for queue, value in settings.items()}

    async def set_limits(self, queue: str, *, at_once: int | None = None, per_second: float | None = None) -> None:
        """At most `at_once` of the queue's activities run, and `per_second` begin; None is no limit.

        Both are set. After a quiet time one second's worth, at least one, may begin in a burst. A retry counts as a
        beginning. A paused queue stays paused. Raises ConfigurationError, InvalidName.
        """
        _check(at_once, per_second)
        paused = (await self._of(queue)).paused
        await self._put(queue, QueueLimits(paused=paused, at_once=at_once, per_second=per_second))

    async def pause(self, queue: str) -> None:
        """Let no activity of the queue begin until `resume`. Raises InvalidName."""
        await self._put(queue, msgspec.structs.replace(await self._of(queue), paused=True))

    async def resume(self, queue: str) -> None:
        """Undo `pause`; the limits are as before. Raises InvalidName."""
        await self._put(queue, msgspec.structs.replace(await self._of(queue), paused=False))

    async def _of(self, queue: str) -> QueueLimits:
        return (await self.limits()).get(check_name(queue, "a queue's name"), _NO_LIMITS)

    async def _put(self, queue: str, limits: QueueLimits) -> None:
        if limits == _NO_LIMITS:
            await repeat(lambda: self._store.delete_setting(SettingKind.QUEUE, queue))
        else:
            await repeat(lambda: self._store.put_setting(SettingKind.QUEUE, queue, msgspec.json.encode(limits)))


def _check(at_once: int | None, per_second: float | None) -> None:
    if at_once is not None and (type(at_once) is not int or at_once < 1):
        raise ConfigurationError(f"at_once is {at_once!r}: it must be a number from 1 on; pause() lets nothing begin")
    if per_second is not None and not (isfinite(per_second) and per_second > 0):
        raise ConfigurationError(f"per_second is {per_second!r}: it must be over 0; pause() lets nothing begin")
