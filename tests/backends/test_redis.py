"""The conformance suite on Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perdure.testing.conformance import ConformanceSuite, ManualClock, StoreUnderTest
from tests.backends.redis_helpers import opened


class TestRedis(ConformanceSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[StoreUnderTest]:
        async with opened("redis", clock=ManualClock()) as store:
            yield store


class TestRedisInPartitions(ConformanceSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[StoreUnderTest]:
        async with opened("redis", clock=ManualClock(), partitions=3) as store:
            yield store


class TestRedisCluster(ConformanceSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[StoreUnderTest]:
        async with opened("redis-cluster", clock=ManualClock(), partitions=6) as store:  # more than masters
            yield store
