"""The store on a Redis or a Redis Cluster."""

from perdure.backends.redis.backend import RedisBackend
from perdure.backends.redis.options import RedisOptions

__all__ = ["RedisBackend", "RedisOptions"]
