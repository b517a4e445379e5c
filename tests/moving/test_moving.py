"""B12, with real workflows between each two stores."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from perdure.backends.connect import connect
from perdure.backends.protocol import Backend
from perdure.backends.seals import filling_from
from perdure.client.client import Client
from perdure.errors import ConfigurationError, InstanceAlreadyExists, StoreFilling, StoreSealed, StoreUnavailable
from perdure.model.inspection import QueueLimits, SettingKind
from perdure.model.instance import State
from perdure.moving import abandon_copy, copy_store
from perdure.orchestrator import Orchestrator
from perdure.worker.worker import Worker
from tests.moving.house import Steps, app_with, check_went_on, move_in, send_rest, sleeping, two_words, word
from tests.worker.support import until, until_async

LIMITS = msgspec.json.encode(QueueLimits(at_once=3))


class Hindered:
    """A real store, in which something comes first when a method is called."""

    def __init__(self, backend: Backend, **hindrances: Callable[[], Awaitable[None]]) -> None:
        self._backend = backend
        self._hindrances = hindrances

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._backend, name)
        hindrance = self._hindrances.get(name)
        if hindrance is None:
            return method

        async def hindered(*arguments: Any) -> Any:
            await hindrance()
            return await method(*arguments)

        return hindered


async def break_off(source: Backend, target: Backend, after: int) -> None:
    """A copy that fails when so many instances are over."""
    own, left = await count(target), after

    async def fail() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            await until_async(lambda: _has(target, own + after))
            raise StoreUnavailable("the cable")

    broken: Any = Hindered(target, import_instance=fail)
    with pytest.raises(StoreUnavailable, match="the cable"):
        await copy_store(source, broken)


async def count(store: Backend) -> int:
    return sum((await store.count_instances()).values())


async def _has(store: Backend, instances: int) -> bool:
    return await count(store) == instances


async def start_some(store: Backend, *names: str) -> None:
    async with Client(store) as client:
        for name in names:
            await client.start(two_words.with_options(instance_id=name))


async def ids_in(store: Backend) -> set[str]:
    return {each.instance_id for each in (await store.list_instances()).items}


async def test_everything_goes_on_in_the_other_store(source: Backend, target: Backend) -> None:
    steps = Steps()
    with pytest.raises(StoreSealed) as the_worker_ended:
        async with Orchestrator(source, app_with(steps)) as orchestrator:
            await move_in(orchestrator, steps)
            copied = await copy_store(source, target)
            await orchestrator.worker.run_forever()

    assert the_worker_ended.value.target == target.url
    assert copied.source == copied.target == {State.RUNNING: 6, State.COMPLETED: 1, State.FAILED: 1}
    assert (copied.instances, copied.there_before, copied.had_ended) == (8, 0, False)
    async with Client(target) as client:
        await send_rest(client)
    await check_went_on(target, steps)


async def test_what_nobody_has_begun_yet_comes_over_with_its_signals(source: Backend, target: Backend) -> None:
    await start_some(source, "fresh")
    async with Client(source) as client:
        for text in ("one", "two"):
            await client.handle("fresh").signal(word, text, idempotency_key=text)

    await copy_store(source, target)

    async with Orchestrator(target, app_with(Steps())) as orchestrator:
        await orchestrator.handle("fresh").signal(word, "one", idempotency_key="one")  # known there, too
        assert await orchestrator.handle("fresh").result(timeout=20) == "ONE two"


async def test_the_source_is_sealed_and_names_the_target(source: Backend, target: Backend) -> None:
    await start_some(source, "there")
    await copy_store(source, target)

    async with Client(source) as client:
        for refused in (client.start(two_words), client.handle("there").signal(word, "one")):
            with pytest.raises(StoreSealed) as caught:
                await refused
            assert caught.value.target == target.url
        assert await client.handle("there").state() is State.RUNNING


async def test_settings_come_over_and_those_of_the_target_stay(source: Backend, target: Backend) -> None:
    other = msgspec.json.encode(QueueLimits(at_once=5))
    await source.put_setting(SettingKind.QUEUE, "gpu", LIMITS)
    await source.put_setting(SettingKind.QUEUE, "cpu", LIMITS)
    await target.put_setting(SettingKind.QUEUE, "cpu", other)

    copied = await copy_store(source, target)

    assert copied.settings == 1
    assert await target.list_settings(SettingKind.QUEUE) == {"cpu": other, "gpu": LIMITS}


async def test_it_tells_how_far_it_is(source: Backend, target: Backend) -> None:
    await start_some(source, "a", "b", "c")
    told: list[tuple[int, int]] = []

    await copy_store(source, target, on_progress=lambda done, total: told.append((done, total)))

    assert told == [(1, 3), (2, 3), (3, 3)]


async def test_it_takes_urls(urls: tuple[str, str], source: Backend, target: Backend) -> None:
    await start_some(source, "a")

    copied = await copy_store(*urls)

    assert (copied.source_url, copied.target_url) == (source.url, target.url)
    assert await ids_in(target) == {"a"}


class TestBrokenOff:
    @pytest.mark.parametrize("after", [0, 1, 99, 200])
    async def test_it_goes_on_where_it_was(self, source: Backend, target: Backend, after: int) -> None:
        names = {f"instance {number}" for number in range(201)}
        await start_some(source, *sorted(names))
        await source.put_setting(SettingKind.QUEUE, "gpu", LIMITS)
        await break_off(source, target, after)

        copied = await copy_store(source, target)

        assert (copied.instances, copied.there_before) == (201 - after, after)
        assert {each.instance_id for each in (await target.list_instances(limit=1000)).items} == names
        assert await target.list_settings(SettingKind.QUEUE) == {"gpu": LIMITS}

    @pytest.mark.parametrize("step", ["the source's seal", "a setting", "the opening"])
    async def test_between_two_steps_too(self, source: Backend, target: Backend, step: str) -> None:
        await start_some(source, "a")
        await start_some(target, "b")
        await source.put_setting(SettingKind.QUEUE, "gpu", LIMITS)
        calls = iter([None, StoreUnavailable("the cable")])

        async def fail() -> None:
            raise StoreUnavailable("the cable")

        async def fail_later() -> None:
            problem = next(calls)
            if problem is not None:
                raise problem

        old: Any = Hindered(source, seal=fail) if step == "the source's seal" else source
        new: Any = {"a setting": Hindered(target, put_setting=fail), "the opening": Hindered(target, seal=fail_later)}
        with pytest.raises(StoreUnavailable):
            await copy_store(old, new.get(step, target), into_existing=True)

        copied = await copy_store(source, target, into_existing=True)

        assert copied.instances + copied.there_before == 1
        assert await ids_in(target) == {"a", "b"}
        await start_some(target, "c")

    async def test_neither_store_takes_anything_meanwhile(self, source: Backend, target: Backend) -> None:
        await start_some(source, "a", "b")
        await break_off(source, target, 1)

        with pytest.raises(StoreSealed):
            await start_some(source, "c")
        with pytest.raises(StoreFilling) as caught:
            await start_some(target, "c")
        assert caught.value.source == source.url

    async def test_a_worker_waits_for_the_target_to_open(
        self, source: Backend, target: Backend, caplog: pytest.LogCaptureFixture
    ) -> None:
        await start_some(source, "a", "b")
        async with Client(source) as client:
            for text in ("one", "two"):
                await client.handle("b").signal(word, text)
        await break_off(source, target, 1)

        with caplog.at_level(logging.WARNING):
            working = asyncio.create_task(Worker(target, app_with(Steps())).run_forever())
            await until(lambda: "being filled from" in caplog.text)
        await copy_store(source, target)

        async with Client(target) as client:
            assert await client.handle("b").result(timeout=20) == "ONE two"
        working.cancel()
        await asyncio.wait((working,))

    async def test_it_may_be_run_again_after_its_end_and_brings_nothing_back(
        self, source: Backend, target: Backend
    ) -> None:
        await start_some(source, "a", "b")
        await copy_store(source, target)
        async with Client(target) as client:
            await client.handle("a").terminate()
            await client.handle("a").remove()

        copied = await copy_store(source, target)

        assert copied.had_ended
        assert await ids_in(target) == {"b"}


class TestIntoExisting:
    async def test_a_target_with_instances_is_refused(self, source: Backend, target: Backend) -> None:
        await start_some(source, "a")
        await start_some(target, "b")

        with pytest.raises(ConfigurationError, match="has 1 instances of its own"):
            await copy_store(source, target)

        await start_some(source, "c")
        await start_some(target, "d")

    async def test_two_stores_become_one(self, source: Backend, target: Backend) -> None:
        await start_some(source, "a")
        await start_some(target, "b")

        copied = await copy_store(source, target, into_existing=True)

        assert (copied.source, copied.target) == ({State.RUNNING: 1}, {State.RUNNING: 2})
        assert await ids_in(target) == {"a", "b"}

    async def test_what_works_in_the_target_goes_on_after_it(self, source: Backend, target: Backend) -> None:
        """Its leases end with the seal; the worker waits and takes its work up again."""
        steps = Steps()
        await start_some(source, "a")
        async with Orchestrator(target, app_with(steps)) as orchestrator:
            handle = await orchestrator.start(two_words.with_options(instance_id="b"))
            await handle.signal(word, "one")
            await until(lambda: steps.attempts["one"])
            await copy_store(source, target, into_existing=True)
            await handle.signal(word, "two")
            assert await handle.result(timeout=20) == "ONE two"
            assert await orchestrator.run(sleeping.with_options(instance_id="c"), 0) == "TIRED no more"

    async def test_ids_that_both_have_are_named_and_nothing_is_copied(self, source: Backend, target: Backend) -> None:
        await start_some(source, "a", "b", "c")
        await start_some(target, "b", "c", "d")

        with pytest.raises(InstanceAlreadyExists, match="'c', 'b'") as caught:
            await copy_store(source, target, into_existing=True)

        assert caught.value.instance_id == "c"
        assert await ids_in(target) == {"b", "c", "d"}
        await start_some(source, "e")
        await start_some(target, "f")

    async def test_an_id_that_comes_at_the_last_moment_is_found_as_well(self, source: Backend, target: Backend) -> None:
        await start_some(source, "a")
        await start_some(target, "b")
        is_first = True

        async def create_b() -> None:
            nonlocal is_first
            if is_first:
                is_first = False
                await start_some(source, "b")

        racing: Any = Hindered(source, seal=create_b)
        with pytest.raises(InstanceAlreadyExists, match="'b'"):
            await copy_store(racing, target, into_existing=True)

        assert await ids_in(target) == {"b"}
        await start_some(source, "c")
        await start_some(target, "c")


class TestAbandoning:
    async def test_the_source_goes_on_and_the_half_copy_stays_closed(self, source: Backend, target: Backend) -> None:
        await start_some(source, "a", "b")
        await break_off(source, target, 1)

        assert await abandon_copy(source, target) == 1

        await start_some(source, "c")
        with pytest.raises(StoreFilling):
            await start_some(target, "c")

    async def test_a_half_copy_is_never_taken_for_the_beginning_of_a_new_move(
        self, source: Backend, target: Backend
    ) -> None:
        """What it has of the source is out of date."""
        await start_some(source, "a", "b")
        await break_off(source, target, 1)
        await abandon_copy(source, target)

        with pytest.raises(InstanceAlreadyExists, match="left of an abandoned copy"):
            await copy_store(source, target)

        await start_some(source, "c")
        with pytest.raises(StoreFilling):
            await start_some(target, "c")

    async def test_a_target_without_copies_opens_too_and_can_be_moved_to_later(
        self, source: Backend, target: Backend
    ) -> None:
        await start_some(source, "a")
        await break_off(source, target, 0)

        assert await abandon_copy(source, target) == 0

        assert (await copy_store(source, target)).instances == 1

    async def test_a_move_that_has_ended_cannot_be_abandoned(self, source: Backend, target: Backend) -> None:
        await start_some(source, "a")
        await copy_store(source, target)

        with pytest.raises(ConfigurationError, match="would run twice"):
            await abandon_copy(source, target)

    async def test_nothing_is_abandoned_where_no_move_is(self, source: Backend, target: Backend) -> None:
        with pytest.raises(ConfigurationError, match="no move of it"):
            await abandon_copy(source, target)

    async def test_a_target_with_own_instances_is_not_left_closed(self, source: Backend, target: Backend) -> None:
        await start_some(source, "a", "b")
        await start_some(target, "c")
        await target.seal(filling_from(source.url))
        await source.seal(target.url)
        await break_off(source, target, 1)

        with pytest.raises(ConfigurationError, match="beside instances of its own"):
            await abandon_copy(source, target)

        assert (await copy_store(source, target)).there_before == 1


class TestRefusals:
    async def test_one_store_is_not_two(self, source: Backend) -> None:
        await start_some(source, "a")
        elsewhere: Any = Hindered(source)
        elsewhere.url = "another://name/for/it"

        for other in (source, elsewhere):
            with pytest.raises(ConfigurationError, match="are the same store"):
                await copy_store(source, other, into_existing=True)

        await start_some(source, "b")

    async def test_a_source_that_was_moved_elsewhere(self, source: Backend, target: Backend) -> None:
        await source.seal("sqlite:///third.db")

        with pytest.raises(ConfigurationError, match=r"to sqlite:///third\.db already"):
            await copy_store(source, target)

    async def test_a_target_that_was_moved_away(self, source: Backend, target: Backend) -> None:
        await copy_store(target, source)

        with pytest.raises(ConfigurationError, match=r"was moved to .* itself"):
            await copy_store(source, target)

    async def test_a_store_in_another_copy(self, source: Backend, target: Backend) -> None:
        third = connect("memory://")
        await third.open()
        for store, message in ((target, "is being filled from x://y: "), (source, "is being filled from x://y itself")):
            await store.seal(filling_from("x://y"))
            with pytest.raises(ConfigurationError, match=message):
                await copy_store(source, target)
        await third.close()


class TestDryRun:
    async def test_it_counts_and_changes_nothing(self, source: Backend, target: Backend) -> None:
        await start_some(source, "a", "b")

        copied = await copy_store(source, target, dry_run=True)

        assert (copied.source, copied.target, copied.instances) == ({State.RUNNING: 2}, {}, 0)
        await start_some(source, "c")
        await start_some(target, "c")

    async def test_it_says_why_the_move_would_not_begin(self, source: Backend, target: Backend) -> None:
        await start_some(source, "a")
        await start_some(target, "a")

        with pytest.raises(ConfigurationError, match="of its own"):
            await copy_store(source, target, dry_run=True)
        with pytest.raises(InstanceAlreadyExists, match="'a'"):
            await copy_store(source, target, dry_run=True, into_existing=True)
