"""Ids of spans that are named before they end, and by those who never see them: each replay, on any worker, gives them again."""

from __future__ import annotations

import hashlib


def trace_id_of(execution_id: bytes) -> int:
    """Of an execution that was started by somebody without a trace."""
    return _drawn(execution_id, b"trace", 16)


def span_id_of_execution(execution_id: bytes) -> int:
    return _drawn(execution_id, b"execution", 8)


def span_id_of_command(execution_id: bytes, number: int) -> int:
    return _drawn(execution_id, b"command %d" % number, 8)


def span_id_of_update(execution_id: bytes, update_id: bytes) -> int:
    return _drawn(execution_id, b"update " + update_id, 8)


def span_id_of_event(execution_id: bytes, position: int) -> int:
    return _drawn(execution_id, b"event %d" % position, 8)


def span_id_of_code(execution_id: bytes, number: int, place: int) -> int:
    """Of workflow code's own span, the so-manieth after a command."""
    return _drawn(execution_id, b"code %d %d" % (number, place), 8)


def _drawn(execution_id: bytes, what: bytes, size: int) -> int:
    digest = hashlib.blake2b(what, key=execution_id, digest_size=size).digest()
    return int.from_bytes(digest) or 1  # 0 is no id
