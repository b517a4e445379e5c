"""The store on a Redis or a Redis Cluster."""

from perdure.backends.redis.network import RedisBackend
from perdure.backends.redis.options import RedisOptions

__all__ = ["RedisBackend", "RedisOptions"]
