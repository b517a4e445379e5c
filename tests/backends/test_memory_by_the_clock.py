"""The suite itself with the machine's clock: a store that takes no other one plugs in like this."""

from __future__ import annotations

import asyncio

import pytest

from perdure.backends.memory import MemoryBackend
from perdure.testing.conformance import StoreUnderTest
from perdure.testing.conformance.inspecting import Overlooking
from perdure.testing.conformance.lapsing import Lapsing, TimingOut


class TestMemoryByTheClock(Lapsing, TimingOut, Overlooking):
    @pytest.fixture
    async def store(self) -> StoreUnderTest:
        return StoreUnderTest(MemoryBackend(), advance=asyncio.sleep, unit_seconds=0.08, is_clock_manual=False)
