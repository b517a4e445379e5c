"""Questions and replies to bytes and back."""

from __future__ import annotations

import msgspec

from perdure.errors import StoreCorrupt
from perdure.model.reply import Query, Reply

_encode = msgspec.msgpack.Encoder().encode
_decode_query = msgspec.msgpack.Decoder(Query).decode
_decode_reply = msgspec.msgpack.Decoder(Reply).decode


def encode_query(query: Query) -> bytes:
    return _encode(query)


def decode_query(request: bytes) -> Query:
    """Raises StoreCorrupt."""
    try:
        return _decode_query(request)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"a question can't be read: {problem}") from problem


def encode_reply(reply: Reply) -> bytes:
    return _encode(reply)


def decode_reply(reply: bytes) -> Reply:
    """Raises StoreCorrupt."""
    try:
        found: Reply = _decode_reply(reply)
    except msgspec.MsgspecError as problem:
        raise StoreCorrupt(f"a reply can't be read: {problem}") from problem
    return found
