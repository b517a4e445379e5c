"""B11: Lua doesn't roll back. An error before any write of any script leaves nothing half written that isn't put right."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from perdure.backends.event_rows import decode_events
from perdure.backends.redis import entries, scripts
from perdure.backends.redis.encoding import decode_activity, decode_instance
from perdure.backends.redis.keys import Keys, unpack
from perdure.backends.redis.scripts import Script
from perdure.errors import StoreError
from perdure.model.inspection import InstanceFilter, QueueLimits, SettingKind
from perdure.model.task import ActivityTask
from perdure.model.transition import ActivityRetry, Terminate
from perdure.testing.conformance import ManualClock, StoreUnderTest, builders
from perdure.testing.conformance.playing import PlayedWorker
from tests.backends.redis_helpers import client_of, neighbours, opened
from tests.stores import service_url

PARTITIONS = 2
HERE, THERE = (neighbours(PARTITIONS, number, 3) for number in range(PARTITIONS))
HOUR = 3600.0

_WATCH = """
local writes, count, call = {{HSET = 1, HDEL = 1, ZADD = 1, ZREM = 1, RPUSH = 1, UNLINK = 1}}, 0, redis.call
local function watched(name, ...)
  if writes[name] then
    count = count + 1
    if count == {fail_at} then
      error('broken off before write {fail_at}')
    end
  end
  return call(name, ...)
end
"""


class Breaker:
    """Runs scripts so that one run of one of them fails before its n-th write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._run = Script.run
        self._armed: dict[Script, int] = {}
        self._dies = False
        self._broken_off: dict[Script, bool] = {}

        def run(script: Script, client: Any, keys: list[bytes], arguments: list[Any]) -> Any:
            return self._run_or_break(script, client, keys, arguments)

        monkeypatch.setattr(Script, "run", run)

    @property
    def has_broken(self) -> bool:
        """Whether all that was armed has been broken off."""
        return not self._armed and not self._dies and all(self._broken_off.values())

    def arm(self, script: Script, fail_at: int) -> None:
        """The first run that comes so far."""
        self._broken_off = {script: False}
        self._armed = {script: fail_at}

    def die_after_write(self, count: int) -> None:
        """The next batch is broken off, and its process says nothing more."""
        self._armed[scripts.COMMIT] = count + 1
        self._dies = True

    def _run_or_break(self, script: Script, client: Any, keys: list[bytes], arguments: list[Any]) -> Any:
        if script is scripts.FINISH and self._dies:
            self._dies = False
            raise RedisConnectionError("the process is dead")
        fail_at = self._armed.get(script)
        if fail_at is None:
            return self._run(script, client, keys, arguments)
        text = _WATCH.format(fail_at=fail_at) + script.text.replace("redis.call(", "watched(")
        try:
            said = client.execute_command("EVAL", text, len(keys), *keys, *arguments)
        except Exception as problem:
            if "broken off" in str(problem):
                self._disarm(script)
            raise
        if said == b"unfinished":
            self._disarm(script)
        return said

    def _disarm(self, script: Script) -> None:
        self._broken_off[script] = True
        del self._armed[script]


@pytest.fixture
async def store() -> AsyncIterator[StoreUnderTest]:
    async with opened("redis", clock=ManualClock(), partitions=PARTITIONS) as store:
        yield store


@pytest.fixture
def breaker(monkeypatch: pytest.MonkeyPatch) -> Breaker:
    return Breaker(monkeypatch)


async def insist(act: Callable[[], Awaitable[Any]]) -> Any:
    """As a caller does: who gets an error repeats it."""
    for _ in range(100):
        try:
            return await act()
        except StoreError:
            await asyncio.sleep(0.02)  # until the connection is opened again
    raise AssertionError("it never works again")


Act = Callable[[StoreUnderTest, PlayedWorker], Awaitable[Any]]


async def _steps(store: StoreUnderTest, worker: PlayedWorker) -> None:
    """A checkpoint that writes of everything."""
    request = builders.create(HERE[0])
    await insist(lambda: store.backend.commit(request))
    task = (await insist(worker.claim_workflow_tasks))[0]
    done = builders.completion(
        task,
        builders.marked(1),
        activities=tuple(builders.activity(number) for number in (2, 3, 6)),
        messages=(builders.send_signal(HERE[1], 4), builders.send_signal(THERE[0], 5)),
        published={"step": b"1"},
    )
    await insist(lambda: store.backend.commit(done))


async def _lives(store: StoreUnderTest, worker: PlayedWorker) -> None:
    await _steps(store, worker)
    attempts: list[ActivityTask] = []
    while len(attempts) < 2:
        attempts += await insist(lambda: worker.claim_activities(1))
        await store.advance(2)  # what a claim had hidden comes back
    first, second = attempts
    await insist(lambda: worker.complete(first, ActivityRetry(builders.FAILURE, store.micros(1))))
    await insist(lambda: worker.complete(second))
    await store.advance(2)
    await insist(lambda: worker.claim_activities(1))
    await insist(lambda: store.backend.commit(Terminate(instance_id=HERE[0])))


async def _leaves_some(store: StoreUnderTest, worker: PlayedWorker) -> None:
    """A claim looks at more instances than it takes."""
    await insist(lambda: store.backend.commit(builders.create(HERE[1])))
    await insist(lambda: store.backend.commit(builders.create(HERE[2])))
    await insist(lambda: worker.claim_workflow_tasks(1))
    await store.advance(2)
    await insist(worker.claim_workflow_tasks)


SCRIPTS: dict[str, tuple[Script, Act]] = {
    "COMMIT": (scripts.COMMIT, _steps),
    "PROMOTE": (scripts.PROMOTE, _lives),
    "RESERVE": (scripts.RESERVE, _lives),
    "RESTORE": (scripts.RESTORE, _leaves_some),
    "TAKE_PERMITS": (scripts.TAKE_PERMITS, _lives),
    "RETURN_PERMITS": (scripts.RETURN_PERMITS, _lives),
}


async def _prepared(store: StoreUnderTest) -> PlayedWorker:
    limits = msgspec.json.encode(QueueLimits(at_once=30))
    await store.backend.put_setting(SettingKind.QUEUE, "default", limits)
    return await store.worker(lease=HOUR)


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_write_that_fails_leaves_nothing_half_written(
    store: StoreUnderTest, breaker: Breaker, name: str
) -> None:
    script, act = SCRIPTS[name]
    for fail_at in range(1, 40):
        worker = await _prepared(store)
        breaker.arm(script, fail_at)
        await act(store, worker)
        if not await _has_healed(store, worker, breaker):
            assert fail_at > 1, "it writes nothing"
            return
    raise AssertionError("it writes more than was tried")


async def test_what_a_dead_process_left_unfinished_is_finished_by_others(
    store: StoreUnderTest, breaker: Breaker
) -> None:
    """And may be broken off again."""
    for fail_at in range(1, 60):
        worker = await _prepared(store)
        breaker.arm(scripts.FINISH, fail_at)
        breaker.die_after_write(1)
        await _steps(store, worker)
        if not await _has_healed(store, worker, breaker):
            assert fail_at > 5
            return
    raise AssertionError("it writes more than was tried")


async def _has_healed(store: StoreUnderTest, worker: PlayedWorker, breaker: Breaker) -> bool:
    """Whether something had been broken; all is well now in any case."""
    was_broken = breaker.has_broken
    for _ in range(3):  # time goes by, and somebody keeps house
        await store.advance(100)
        await insist(store.backend.housekeep)
        await store.backend.count_instances()
    await check(store)
    await worker.stop()
    for instance in (await store.backend.list_instances()).items:
        await store.backend.commit(Terminate(instance_id=instance.instance_id))
    await store.backend.prune(InstanceFilter())
    return was_broken


# --- what a store looks like of which nothing is half written


async def check(store: StoreUnderTest) -> None:
    """Every row is where the indexes say, and nothing else is; histories have no holes, outboxes nothing that was told."""
    client: Any = client_of(service_url("redis"))
    prefix = store.backend.prefix  # type: ignore[attr-defined]
    for number in range(PARTITIONS):
        keys = Keys(prefix, number)
        assert client.hget(keys.header, "generation").isdigit()
        assert not client.exists(keys.unfinished)
        _check_indexes(client, keys, prefix, number)
        _check_histories(client, keys)
        assert client.hlen(keys.outbox) == client.zcard(keys.outbox_due) == client.zcard(keys.outbox_senders) == 0
    _check_permits(client, prefix)
    client.close()


def _check_indexes(client: Any, keys: Keys, prefix: str, number: int) -> None:
    expected: Counter[tuple[bytes, bytes]] = Counter()
    for value in client.hvals(keys.instances):
        expected.update(dict.fromkeys(entries.of_instance(keys, decode_instance(value)), 1))
    for value in client.hvals(keys.activities):
        expected.update(dict.fromkeys(entries.of_activity(keys, decode_activity(value)), 1))
    assert set(client.hvals(keys.ids)) == set(client.hkeys(keys.instances))
    tag = f"{{{prefix}:{number}}}:"
    found: Counter[tuple[bytes, bytes]] = Counter()
    for key in client.scan_iter(match=f"{tag}*", count=1000):
        name = key.decode().removeprefix(tag)
        if re.match(r"state:|ended|deadlines|open|expiring|leases:|running:|ready:|waiting:|children:", name):
            found.update((_home(key, keys), member) for member in client.zrange(key, 0, -1))
    assert found == Counter({(_home(key, keys), member): 1 for key, member in expected})


def _home(key: bytes, keys: Keys) -> bytes:
    """What waits may stand among what is ready, once its time has come."""
    return key.replace(b":waiting:", b":ready:")


def _check_histories(client: Any, keys: Keys) -> None:
    for value in client.hvals(keys.instances):
        row = decode_instance(value)
        position = 0
        for events in client.lrange(keys.events(row.key, row.execution_number), 0, -1):
            assert unpack(events) == position
            position += len(list(decode_events(position, events[8:])))
        assert position == row.position
        assert client.hlen(keys.pending(row.key)) == row.pending_count


def _check_permits(client: Any, prefix: str) -> None:
    running = [
        member
        for number in range(PARTITIONS)
        for member in client.zrange(Keys(prefix, number).running("default"), 0, -1)
    ]
    taken = [
        member for number in range(PARTITIONS) for member in client.zrange(Keys(prefix, number).begun("default"), 0, -1)
    ]
    assert sorted(taken) == sorted(running)
