"""How to reach a store on Redis."""

from __future__ import annotations

from perdure.backends.network.backend import NetworkBackend
from perdure.backends.redis.connecting import connector, without_secrets
from perdure.backends.redis.keys import Keys
from perdure.backends.redis.link import RedisHerald, RedisLink, RedisListener, RedisLooker
from perdure.backends.redis.options import RedisOptions
from perdure.clock import Clock


class RedisNetwork:
    """One store's connections."""

    def __init__(self, url: str, options: RedisOptions) -> None:
        self._options = options
        self.key = f"{url} {options.prefix}"
        self.url = without_secrets(url)
        self._connect = connector(url, options)
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

    def __init__(self, url: str, options: RedisOptions | None = None, *, clock: Clock | None = None) -> None:
        options = options or RedisOptions()
        super().__init__(RedisNetwork(url, options), clock=clock)
        self.prefix = options.prefix
