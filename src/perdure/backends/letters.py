"""What goes from an instance to one in another partition: as data, written with whatever it is a consequence of (STORES.md B5).

A letter lies in the outbox of its sender's partition until the receiver's has taken it and its answer is written. It may be
delivered any number of times, and is taken once: the receiver's partition keeps its id, with the answer, for as long as it lies
in the outbox.
"""

from __future__ import annotations

import msgspec

from perdure.backends.rows import encode
from perdure.clock import Micros
from perdure.errors import StoreCorrupt
from perdure.model.checkpoint import SendCancel, SendSignal, StartSubWorkflow
from perdure.model.event import SignalDelivered, SignalRefused, SubWorkflowCompleted, SubWorkflowFailed


class Start(msgspec.Struct, frozen=True, tag=1, array_like=True):
    """A sub-workflow begins. Its key was drawn by the sender, so that it is as old as its start is."""

    message: StartSubWorkflow
    key: int


class Signal(msgspec.Struct, frozen=True, tag=2, array_like=True):
    message: SendSignal


class Cancel(msgspec.Struct, frozen=True, tag=3, array_like=True):
    message: SendCancel


class Ended(msgspec.Struct, frozen=True, tag=4, array_like=True):
    """A sub-workflow tells that execution of its parent's how it has ended."""

    parent_execution: bytes
    event: SubWorkflowCompleted | SubWorkflowFailed


class ParentClosed(msgspec.Struct, frozen=True, tag=5, array_like=True):
    """The execution that started the sub-workflow has ended: the receiver does what its parent_close says."""


class Adopted(msgspec.Struct, frozen=True, tag=6, array_like=True):
    """A sub-workflow was imported that this execution of the receiver's had started."""

    parent_execution: bytes


RELAYED_AFTER: Micros = 5_000_000
"""So long a letter is its sender's process' own to deliver; then it is everybody's."""
ANSWERS_KEPT: Micros = 60_000_000
"""So long at least the receiver's partition keeps the answer; and until the letter has left the outbox."""

Body = Start | Signal | Cancel | Ended | ParentClosed | Adopted


class Letter(msgspec.Struct, frozen=True, array_like=True):
    """To the instance `to`."""

    message_id: bytes
    sender_key: int
    sender_id: str
    execution_id: bytes
    """The sender's current one."""
    to: str
    body: Body
    posted_at: Micros
    follows_start: bool = False
    """Whether the start of the receiver, by the same sender, may not have arrived yet."""


Reply = SignalDelivered | SignalRefused | SubWorkflowFailed


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What came of a letter: the event that the sender gets for it, if any."""

    event: Reply | None = None


_decode_letter = msgspec.msgpack.Decoder(Letter).decode
_decode_answer = msgspec.msgpack.Decoder(Answer).decode


def encode_letter(letter: Letter) -> bytes:
    return encode(letter)


def decode_letter(encoded: bytes) -> Letter:
    """Raises StoreCorrupt."""
    try:
        return _decode_letter(encoded)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"a message to another instance can't be read: {problem}") from problem


def decode_answer(encoded: bytes) -> Answer:
    """Raises StoreCorrupt."""
    try:
        return _decode_answer(encoded)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"the answer to a message can't be read: {problem}") from problem
