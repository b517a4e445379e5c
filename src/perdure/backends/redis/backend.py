"""`RedisBackend`: a handle on a store in Redis, opened on one event loop."""

from __future__ import annotations

from perdure.backends.network.backend import NetworkBackend
from perdure.backends.partitions.committer import Partitions
from perdure.backends.redis.connecting import Source, source_of_url
from perdure.backends.redis.hub import RedisHub
from perdure.backends.redis.network import RedisNetwork
from perdure.backends.redis.options import RedisOptions
from perdure.backends.rules.letters import relay_all
from perdure.backends.urls import StoreUrl
from perdure.clock import Clock
from perdure.errors import StoreUnavailable

_ROUNDS = 100


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
        self._source = source
        self._options = options
        self._redis = RedisNetwork(source, options)
        super().__init__(self._redis, clock=clock)
        self.prefix = options.prefix

    def _make_hub(self) -> RedisHub:
        return RedisHub(self._redis.key, self._redis, self._clock)

    @property
    def _partitions(self) -> Partitions:
        hub = self._opened
        assert isinstance(hub, RedisHub)
        return hub.partitions

    def twin(self) -> RedisBackend:
        return RedisBackend(self._source, self._options, clock=self._given_clock)

    async def seal(self, target: str | None) -> None:
        """What is on its way arrives before this returns, so that nothing has to travel."""
        await super().seal(target)
        if target is None or self._partitions.count == 1:
            return
        for _ in range(_ROUNDS):
            # Each waits for what the last one has sent.
            if not await self._write(relay_all, merge=sum, when_sealed=True):
                return
        raise StoreUnavailable(
            f"{self.url} is sealed, but messages between its instances can't be delivered. Repeat it."
        )
