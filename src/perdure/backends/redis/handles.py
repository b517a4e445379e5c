"""redis:// URLs, and clients."""

from __future__ import annotations

import re
from typing import Any

from perdure.backends.options import names_of, take_options
from perdure.backends.redis.backend import RedisBackend
from perdure.backends.redis.connecting import source_of_client, source_of_url
from perdure.backends.redis.options import RedisOptions
from perdure.backends.urls import StoreUrl
from perdure.errors import ConfigurationError

_PREFIX = re.compile(r"[^\s{}*?\[\]\\]+")  # braces are those of hash tags, the others those of patterns


def backend_of(url: StoreUrl, given: dict[str, Any]) -> RedisBackend:
    client = given.pop("client", None)
    options = take_options(RedisOptions, given, url.shown)
    if not _PREFIX.fullmatch(options.prefix):
        raise ConfigurationError(f"prefix is {options.prefix!r}: it can have no spaces, braces, brackets, \\, * or ?")
    if client is None:
        return RedisBackend(source_of_url(url, given, options), options)
    if given or url.netloc or url.path:
        raise ConfigurationError(
            f"{url.shown!r}: a client knows where to connect to, and how: say redis:// and the client alone, with options of "
            f"the store ({', '.join(names_of(RedisOptions))})"
        )
    return RedisBackend(source_of_client(client, options), options)


def script_of(url: StoreUrl, given: dict[str, Any], found: int) -> str:
    raise ConfigurationError(f"{url.shown!r}: Redis has no schema, and no SQL; `perdure migrate` prepares the store")
