"""Cursors of listings: the key of the last row that was given, made opaque.

A key never changes and is never used again, so that a page begins where the last one ended, whatever came or went.
"""

from __future__ import annotations

import base64
import binascii

from perdure.errors import ConfigurationError


def encode_cursor(last_key: int) -> str:
    """The cursor that leads past `last_key`."""
    return base64.urlsafe_b64encode(last_key.to_bytes(8)).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    """The key behind a cursor. Raises ConfigurationError if it isn't one of ours."""
    try:
        raw = base64.b64decode(cursor + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as problem:
        raise ConfigurationError(f"{cursor!r} is no cursor: pass what the last page gave") from problem
    if len(raw) != 8:
        raise ConfigurationError(f"{cursor!r} is no cursor: pass what the last page gave")
    return int.from_bytes(raw)
