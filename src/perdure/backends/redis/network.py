"""How to reach a store on Redis."""

from __future__ import annotations

from perdure.backends.redis.connecting import Source
from perdure.backends.redis.layout import Layout
from perdure.backends.redis.link import RedisHerald, RedisLink, RedisListener, RedisLooker
from perdure.backends.redis.options import RedisOptions

_IN_A_CLUSTER = 16
"""Partitions of a new store; its nodes may become more than there are today."""


class RedisNetwork:
    """One store's connections."""

    def __init__(self, source: Source, options: RedisOptions) -> None:
        self._options = options
        self.key = source.key
        self.url = source.url
        self._connect, self._connect_to_write = source.connect, source.connector()
        self._partitions = options.partitions or (_IN_A_CLUSTER if source.is_cluster else 1)

    def link(self) -> RedisLink:
        """To the first partition, where the others are found."""
        return RedisLink(self._connect_to_write, self.url, self._options, partitions=self._partitions)

    def link_to(self, layout: Layout, number: int) -> RedisLink:
        """To another one."""
        return RedisLink(
            self._connect_to_write, self.url, self._options, partitions=self._partitions, layout=layout, number=number
        )

    def looker(self) -> RedisLooker:
        return RedisLooker(self._connect, self.url, self._options)

    def herald(self) -> RedisHerald:
        return RedisHerald(self._connect, self.url, self._options)

    def listener(self) -> RedisListener:
        return RedisListener(self._connect, self._options)
