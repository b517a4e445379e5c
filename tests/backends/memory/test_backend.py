from __future__ import annotations

import pytest

from perdure.backends.memory import MemoryBackend, MemoryStore
from perdure.backends.protocol import Backend
from perdure.errors import ConfigurationError, StoreError
from perdure.model.failure import plain_failure
from perdure.model.instance import State
from perdure.testing.conformance import ManualClock, StoreUnderTest, builders


def test_a_memory_backend_is_a_backend() -> None:
    backend: Backend = MemoryBackend()
    assert backend.url == "memory://"


async def test_a_name_is_one_store_for_the_process() -> None:
    name = "memory://a name of this test"
    first, second = MemoryBackend(name), MemoryBackend(name)
    await first.commit(builders.create("order-1"))
    assert await second.count_instances() == {State.RUNNING: 1}
    assert first.url == name


async def test_without_a_name_each_has_its_own() -> None:
    first, second = MemoryBackend("memory://"), MemoryBackend()
    await first.commit(builders.create("order-1"))
    assert await second.count_instances() == {}
    assert await first.twin().count_instances() == {State.RUNNING: 1}


@pytest.mark.parametrize("url", ["sqlite:///a.db", "memory", "memory:x", ""])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        MemoryBackend(url)


async def test_a_run_with_the_same_dice_and_clock_is_the_same() -> None:
    """The base of simulations: nothing in the store looks at another clock or other dice."""

    async def run() -> list[object]:
        dice = iter(range(1, 10_000))
        store = MemoryStore(clock=ManualClock(), random_token=lambda: next(dice) * 7919)
        backend = MemoryBackend(store)
        played = StoreUnderTest(backend, advance=_never)
        seen: list[object] = []
        request = builders.create("order-1", request_id=b"r" * 16, execution_id=b"e" * 16)
        seen.append(await backend.commit(request))
        worker = await played.worker()
        seen.append(await worker.claim())
        return seen

    assert await run() == await run()


async def _never(seconds: float) -> None:
    raise AssertionError(seconds)


async def test_a_transition_that_fails_leaves_nothing() -> None:
    """B2: what can fail comes before the first write."""
    store = StoreUnderTest(MemoryBackend(MemoryStore(clock=ManualClock())), advance=_never)
    worker = await store.worker()
    await store.create("order-1")
    task = await worker.claim_workflow_task()
    half_a_pair = builders.failed(plain_failure("Broken", "\ud800"))
    with pytest.raises(StoreError):
        await worker.checkpoint(
            task, closing=half_a_pair, activities=(builders.activity(),), messages=(builders.sub_workflow("child"),)
        )
    instance = await store.backend.read_instance("order-1")
    assert (instance.state, instance.history_length, instance.worker) == (State.RUNNING, 0, "worker-1")
    assert await store.backend.count_instances() == {State.RUNNING: 1}
    await worker.checkpoint(task)
