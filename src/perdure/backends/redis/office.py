"""`Office` on one partition of several: the outbox, answers to what came in, sub-workflows elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from perdure.backends.admission import Rank
from perdure.backends.letters import (
    RELAYED_AFTER,
    Answer,
    Letter,
    decode_answer,
    decode_letter,
    encode_letter,
)
from perdure.backends.redis.buffer import ABSENT, Buffer, Span, as_dict
from perdure.backends.redis.keys import (
    ACTIVITIES,
    INSTANCES,
    Keys,
    activity_place,
    instance_place,
    of_activities,
    of_instances,
    pack,
    unpack,
)
from perdure.backends.redis.layout import Layout
from perdure.backends.redis.scripts import read
from perdure.backends.rows import encode
from perdure.backends.unit.changes import Changes
from perdure.backends.unit.tables import Place
from perdure.clock import Micros
from perdure.model.inspection import SettingKind

_THERE, _ON_ITS_WAY = b"1", b"0"
_AT_ONCE = 1_000
_COMPARED_EACH: Micros = 60_000_000


class RedisOffice:
    """Belongs to the thread that writes."""

    def __init__(self, buffer: Buffer, layout: Layout, number: int) -> None:
        self.partition, self.last_key = layout.partition(number), layout.last_key
        self._compared_at: Micros = 0
        self._buffer = buffer
        self._layout = layout
        self._keys: Keys = layout.keys[number]

    # --- reading

    def has_posted(self, message_id: bytes) -> bool:
        return self._buffer.get(self._keys.outbox, message_id) is not None

    def undelivered(self, instance_keys: Sequence[int]) -> set[int]:
        if not instance_keys:
            return set()
        return {
            unpack(member) for member in self._buffer.prefixed(self._keys.outbox_senders, *map(pack, instance_keys))
        }

    def due(self, now: Micros, limit: int) -> list[Letter]:
        buffer, keys = self._buffer, self._keys
        ids = buffer.members(Span(keys.outbox_due, high=now, limit=limit))
        if not ids:
            return []
        letters = [decode_letter(value[8:]) for value in buffer.get_many(keys.outbox, ids) if value is not None]
        for letter in letters:
            buffer.place(keys.outbox_due, letter.message_id, now + RELAYED_AFTER)
        return sorted(letters, key=lambda letter: letter.posted_at)

    def is_still_posted(self, letter: Letter) -> bool:
        keys = self._layout.keys[self.partition.of_key(letter.sender_key)]
        (found,) = read(self._buffer.client, [("HEXISTS", keys.outbox, letter.message_id)])
        return bool(found)

    def answer_to(self, message_id: bytes) -> Answer | None:
        found = self._buffer.get(self._keys.received, message_id)
        return None if found is None else decode_answer(found[8:])

    def children_away(self, parent_id: str, execution_id: bytes) -> dict[str, bool]:
        found = self._buffer.get_all(self._keys.away(parent_id, execution_id))
        return {child.decode(): value == _THERE for child, value in found.items()}

    def first_instance_elsewhere(
        self, queue: str, names: frozenset[str], versions: frozenset[str] | None
    ) -> Place | None:
        others = self._layout.fronts.elsewhere(self.partition.number, (INSTANCES, queue))
        first = min(filter(of_instances(names, versions), others), default=None) if others else None
        return None if first is None else instance_place(first)[:2]

    def first_activity_elsewhere(self, queue: str, names: frozenset[str]) -> Rank | None:
        others = self._layout.fronts.elsewhere(self.partition.number, (ACTIVITIES, queue))
        first = min(filter(of_activities(names), others), default=None) if others else None
        return None if first is None else activity_place(first)[:3]

    def limits_that_differ(self, now: Micros) -> dict[str, bytes | None]:
        if self.partition.number == 0 or now - self._compared_at < _COMPARED_EACH:
            return {}
        self._compared_at = now
        name = SettingKind.QUEUE.value
        (found,) = read(self._buffer.client, [("HGETALL", self._layout.keys[0].settings(name))])
        theirs, ours = as_dict(found), self._buffer.get_all(self._keys.settings(name))
        return {queue.decode(): theirs.get(queue) for queue in {*theirs, *ours} if theirs.get(queue) != ours.get(queue)}

    # --- writing

    def write(self, changes: Changes) -> None:
        buffer, keys = self._buffer, self._keys
        for letter in changes.letters:
            message_id, sender = letter.message_id, pack(letter.sender_key)
            buffer.put(keys.outbox, message_id, sender + encode_letter(letter))
            buffer.place(keys.outbox_due, message_id, letter.posted_at + RELAYED_AFTER)
            buffer.place(keys.outbox_senders, sender + message_id, 0)
        for message_id, sender_key in changes.settled_letters.items():
            buffer.expect(keys.outbox, message_id, pack(sender_key))
            buffer.put(keys.outbox, message_id, None)
            buffer.place(keys.outbox_due, message_id, None)
            buffer.place(keys.outbox_senders, pack(sender_key) + message_id, None)
        for message_id, (letter, answer, until) in changes.received.items():
            buffer.expect(keys.received, message_id, ABSENT)
            sender = pack(self.partition.of_key(letter.sender_key))
            buffer.put(keys.received, message_id, sender + encode(answer))
            buffer.place(keys.received_due, message_id, until)
        for parent, children in changes.away.items():
            for child_id, is_there in children.items():
                value = None if is_there is None else _THERE if is_there else _ON_ITS_WAY
                buffer.put(keys.away(*parent), child_id.encode(), value)

    def forget(self, now: Micros, kept: Micros) -> None:
        """Answers go whose letters have left the outbox; the others are kept on."""
        buffer, keys = self._buffer, self._keys
        ids = buffer.members(Span(keys.received_due, high=now, limit=_AT_ONCE))
        if not ids:
            return
        by_sender: dict[int, list[bytes]] = {}
        for message_id, value in zip(ids, buffer.get_many(keys.received, ids), strict=True):
            by_sender.setdefault(0 if value is None else unpack(value), []).append(message_id)
        for number, some in by_sender.items():
            (letters,) = read(buffer.client, [("HMGET", self._layout.keys[number].outbox, *some)])
            for message_id, letter in zip(some, letters, strict=True):
                if letter is None:
                    buffer.put(keys.received, message_id, None)
                buffer.place(keys.received_due, message_id, None if letter is None else now + kept)
