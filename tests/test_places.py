"""Places on servers, which tests leave to each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from perdure.backends.connect import connect
from perdure.testing.conformance import builders
from tests import stores


@pytest.fixture(params=stores.as_parameters(stores.ON_SERVERS))
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def count_after_one_more(url: str) -> int:
    backend = connect(url)
    await backend.open()
    await backend.commit(builders.create())
    counts = await backend.count_instances()
    await backend.close()
    return sum(counts.values())


async def test_what_a_test_has_written_is_gone_when_the_next_one_takes_its_place(kind: str, tmp_path: Path) -> None:
    with stores.empty_store(kind, tmp_path) as first:
        assert await count_after_one_more(first) == 1

    with stores.empty_store(kind, tmp_path) as second:
        assert second == first
        assert await count_after_one_more(second) == 1


async def test_nobody_gets_the_place_of_a_store_that_was_left_open(kind: str, tmp_path: Path) -> None:
    with stores.empty_store(kind, tmp_path) as first:
        left_open = connect(first)
        await left_open.open()

    with stores.empty_store(kind, tmp_path) as second:
        assert second != first
        assert await count_after_one_more(second) == 1
    await left_open.close()


async def test_two_tests_at_once_have_two_places(kind: str, tmp_path: Path) -> None:
    with stores.empty_store(kind, tmp_path) as one, stores.empty_store(kind, tmp_path) as other:
        assert one != other
