"""memory:// URLs."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec

from perdure.backends.apart import BLOB_THRESHOLD
from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.options import names_of, refuse_unknown, take_options
from perdure.backends.urls import StoreUrl
from perdure.errors import ConfigurationError


class MemoryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a store; those of the first handle on it hold."""

    blob_threshold: int = BLOB_THRESHOLD
    """Payloads of more bytes are kept apart, in blobs."""


def backend_of(url: StoreUrl, given: dict[str, Any]) -> MemoryBackend:
    options = take_options(MemoryOptions, given, url.shown)
    refuse_unknown(given, url.shown, names_of(MemoryOptions))
    if url.path or url.fragment:
        raise ConfigurationError(
            f"{url.shown!r}: a store in memory has a name and nothing after it, as in memory://name"
        )
    return MemoryBackend(f"memory://{unquote(url.netloc)}", blob_threshold=options.blob_threshold)


def script_of(url: StoreUrl, given: dict[str, Any], found: int) -> str:
    raise ConfigurationError(f"{url.shown!r}: a store in memory has no schema")
