from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.machine import file_system, rss_megabytes
from benchmarks.measuring import keep_in_flight, percentiles


async def test_never_more_are_in_flight_than_was_said_and_each_number_is_called_once() -> None:
    called, now, most = list[int](), 0, 0

    async def call(number: int) -> None:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(0)
        called.append(number)
        now -= 1

    latencies = await keep_in_flight(20, 3, call)

    assert (sorted(called), most, len(latencies)) == (list(range(20)), 3, 20)


async def test_a_call_that_fails_ends_the_run() -> None:
    async def call(number: int) -> None:
        raise ValueError(number)

    with pytest.raises(ExceptionGroup):
        await keep_in_flight(5, 2, call)


def test_percentiles_are_values_that_occurred() -> None:
    assert percentiles([number / 1000 for number in range(1, 101)]) == {"p50_ms": 51.0, "p99_ms": 100.0}


def test_one_value_is_all_of_its_percentiles() -> None:
    assert percentiles([0.5]) == {"p50_ms": 500.0, "p99_ms": 500.0}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_is_at_most_its_peak() -> None:
    assert 0 < rss_megabytes() <= rss_megabytes("VmHWM")


@pytest.mark.skipif(not Path("/proc/mounts").exists(), reason="needs /proc")
def test_the_innermost_mount_decides_on_the_file_system() -> None:
    assert file_system(Path("/proc/self")) == "proc"
