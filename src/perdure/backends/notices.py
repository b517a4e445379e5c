"""What processes tell each other after commits: hints, small and gathered, that somebody may look now instead of later.

Of instances that have ended only a checksum of the id is told: who waits for one of these looks.
"""

from __future__ import annotations

from binascii import crc32
from collections.abc import Container
from typing import TypeVar

import msgspec

from perdure.backends.wakes import Wakes
from perdure.clock import Micros
from perdure.errors import StoreCorrupt

K = TypeVar("K", str, int)

_MOST_ENDED = 1_000  # more than that at once, and everybody looks


class Notice(msgspec.Struct, array_like=True):
    """From one process to all others."""

    origin: bytes
    workflow_queues: dict[str, Micros] = {}
    activity_queues: dict[str, Micros] = {}
    workers: dict[int, Micros] = {}
    questions: list[int] = []
    ended: list[int] | None = []
    """Checksums of instances that have ended or gone; None: too many to tell."""
    replies: list[bytes] = []

    def as_wakes(self) -> Wakes:
        """What of it can be told as if it had happened here."""
        wakes = Wakes()
        wakes.workflow_queues, wakes.activity_queues = self.workflow_queues, self.activity_queues
        wakes.workers, wakes.questions = self.workers, set(self.questions)
        return wakes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Notice).decode


def shortened(notice: bytes) -> bytes:
    """The same without the list of what has ended: whoever waits for an end looks."""
    return _encode(msgspec.structs.replace(_decode(notice), ended=None, replies=[]))


def checksum(instance_id: str) -> int:
    return crc32(instance_id.encode())


def decode_notice(notice: bytes) -> Notice:
    """Raises StoreCorrupt."""
    try:
        return _decode(notice)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"a notice of another process can't be read: {problem}") from problem


class Outgoing:
    """Gathers what is to be told next."""

    def __init__(self, origin: bytes) -> None:
        self._origin = origin
        self._notice: Notice | None = None

    def __bool__(self) -> bool:
        return self._notice is not None

    def add(self, wakes: Wakes, own_workers: Container[int | None]) -> None:
        """What a commit made ready, but for what concerns this process's own workers alone."""
        workers = {key: at for key, at in wakes.workers.items() if key not in own_workers}
        asked = [key for key in wakes.questions if key not in own_workers]
        ended = [*wakes.outcomes, *wakes.gone]
        if not (wakes.workflow_queues or wakes.activity_queues or workers or asked or ended or wakes.replies):
            return
        notice = self._notice
        if notice is None:
            notice = self._notice = Notice(self._origin, {}, {}, {}, [], [], [])
        _earliest(notice.workflow_queues, wakes.workflow_queues)
        _earliest(notice.activity_queues, wakes.activity_queues)
        _earliest(notice.workers, workers)
        notice.questions += asked
        notice.replies += wakes.replies
        if notice.ended is not None:
            notice.ended += map(checksum, ended)
            if len(notice.ended) > _MOST_ENDED:
                notice.ended = None

    def take(self) -> bytes | None:
        """The notice to send; None if there is nothing to tell."""
        notice, self._notice = self._notice, None
        return None if notice is None else _encode(notice)


def _earliest(known: dict[K, Micros], more: dict[K, Micros]) -> None:
    for key, at in more.items():
        if at < known.get(key, at + 1):
            known[key] = at
