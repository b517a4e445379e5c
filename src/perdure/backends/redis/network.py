"""How to reach a store on Redis."""

from __future__ import annotations

from perdure.backends.network.backend import NetworkBackend
from perdure.backends.redis.connecting import Source, source_of_url
from perdure.backends.redis.keys import Keys
from perdure.backends.redis.link import RedisHerald, RedisLink, RedisListener, RedisLooker
from perdure.backends.redis.options import RedisOptions
from perdure.backends.urls import StoreUrl
from perdure.clock import Clock


class RedisNetwork:
    """One store's connections."""

    def __init__(self, source: Source, options: RedisOptions) -> None:
        self._options = options
        self.key = source.key
        self.url = source.url
        self._connect = source.connect
        self._keys = Keys(options.prefix, 0)

    def link(self) -> RedisLink:
        return RedisLink(self._connect, self.url, self._keys, self._options)

    def looker(self) -> RedisLooker:
        return RedisLooker(self._connect, self.url, self._keys)

    def herald(self) -> RedisHerald:
        return RedisHerald(self._connect, self.url, self._keys)

    def listener(self) -> RedisListener:
        return RedisListener(self._connect, self._keys)


class RedisBackend(NetworkBackend):
    """A store on a Redis or a Redis Cluster."""

    def __init__(
        self, source: str | Source, options: RedisOptions | None = None, *, clock: Clock | None = None
    ) -> None:
        """A `source` that is a str is a URL without options of the store's own. Raises ConfigurationError."""
        options = options or RedisOptions()
        if isinstance(source, str):
            url = StoreUrl(source)
            source = source_of_url(url, url.options, options)
        super().__init__(RedisNetwork(source, options), clock=clock)
        self.prefix = options.prefix
