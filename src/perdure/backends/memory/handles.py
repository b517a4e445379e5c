"""memory:// URLs."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from perdure.backends.memory.backend import MemoryBackend
from perdure.backends.options import refuse_unknown
from perdure.backends.urls import StoreUrl
from perdure.errors import ConfigurationError


def backend_of(url: StoreUrl, given: dict[str, Any]) -> MemoryBackend:
    refuse_unknown(given, url.shown, ())
    if url.path or url.fragment:
        raise ConfigurationError(
            f"{url.shown!r}: a store in memory has a name and nothing after it, as in memory://name"
        )
    return MemoryBackend(f"memory://{unquote(url.netloc)}")


def script_of(url: StoreUrl, given: dict[str, Any], found: int) -> str:
    raise ConfigurationError(f"{url.shown!r}: a store in memory has no schema")
