"""A store in several partitions: what crosses from one to another is delivered once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from redis.exceptions import OutOfMemoryError

from perdure.backends.group_commit import Job
from perdure.backends.letters import Letter
from perdure.backends.partitions.courier import Courier, Receipt
from perdure.backends.redis import RedisBackend, RedisOptions
from perdure.backends.redis.scripts import TAKE_PERMITS, Script
from perdure.backends.unit.changes import Changes
from perdure.errors import ConfigurationError, StoreUnavailable
from perdure.model.checkpoint import NewActivity
from perdure.model.inspection import InstanceFilter, QueueLimits, SettingKind
from perdure.model.instance import State
from perdure.model.options import ParentClose
from perdure.model.transition import Administered, Created, Remove, Terminate
from perdure.testing.conformance import ManualClock, StoreUnderTest, builders
from perdure.testing.conformance.playing import PlayedWorker, names_of
from perdure.worker.backoff import Backoff, until_done
from tests.backends.redis_helpers import Beside, beside, neighbours, opened
from tests.stores import service_url

PARTITIONS = 3
HERE, THERE, ELSEWHERE = (neighbours(PARTITIONS, number, 4) for number in range(PARTITIONS))
RELAYED = 6.0
"""Seconds after which letters are everybody's to deliver."""


@pytest.fixture
async def store() -> AsyncIterator[StoreUnderTest]:
    async with opened("redis", partitions=PARTITIONS) as store:
        yield store


@pytest.fixture
async def timed() -> AsyncIterator[StoreUnderTest]:
    """With a clock that the test moves."""
    async with opened("redis", clock=ManualClock(), partitions=PARTITIONS) as store:
        yield store


@pytest.fixture
async def other(store: StoreUnderTest) -> AsyncIterator[Beside]:
    async with beside(store) as other:
        yield other


def prefix_of(store: StoreUnderTest) -> str:
    assert isinstance(store.backend, RedisBackend)
    return store.backend.prefix


class Mail:
    """Takes the place of the courier: letters are written, and nobody delivers them at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.letters: list[Letter] = []
        self._send = Courier.send
        self._monkeypatch = monkeypatch

    def stop(self) -> None:
        def keep(courier: Courier, letters: Sequence[Letter], because_of: Any = ()) -> None:
            self.letters += letters

        self._monkeypatch.setattr(Courier, "send", keep)

    def go_on(self) -> None:
        self._monkeypatch.setattr(Courier, "send", self._send)


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Mail:
    return Mail(monkeypatch)


async def test_an_instance_lies_in_one_partition_with_all_its_own(store: StoreUnderTest, other: Beside) -> None:
    worker = await store.worker()
    before = set(other.dump())
    await store.create(THERE[0], "approval")
    await worker.run(activities=(builders.activity(1),), published={"step": b"1"})
    new = {key for key in other.dump() if key not in before}
    assert len(new) > 8
    assert {key.split(b"}")[0].rsplit(b":")[1] for key in new} == {b"1"}


@pytest.mark.parametrize(("server", "count"), [("redis", 1), ("redis-cluster", 16)])
async def test_a_new_store_is_divided_in_a_cluster(server: str, count: int) -> None:
    async with opened(server) as store:
        assert isinstance(store.backend, RedisBackend)
        assert store.backend._partitions.count == count


async def test_how_many_there_are_cannot_be_changed(store: StoreUnderTest, other: Beside) -> None:
    with pytest.raises(ConfigurationError, match=r"3 partitions.*partitions=4 was given"):
        await RedisBackend(service_url("redis"), RedisOptions(prefix=prefix_of(store), partitions=4)).open()
    await other.store.create(THERE[0])  # who says nothing takes what is there
    assert (await store.backend.read_instance(THERE[0])).state is State.RUNNING


async def test_messages_that_were_not_delivered_are_relayed_by_others(timed: StoreUnderTest, mail: Mail) -> None:
    worker = await timed.worker(lease=1000)
    await timed.create(THERE[0])
    await worker.run()
    await timed.create(HERE[0])
    mail.stop()
    messages = (builders.send_signal(THERE[0], 1), builders.sub_workflow(ELSEWHERE[0], 2))
    await worker.run(messages=messages)
    mail.go_on()
    assert len(mail.letters) == 2
    await timed.backend.housekeep()
    assert await worker.claim_workflow_tasks() == ()  # they may be on their way
    await timed.advance(RELAYED)
    await timed.backend.housekeep()
    tasks = {task.instance_id: names_of(task) for task in await worker.claim_workflow_tasks()}
    assert tasks == {
        HERE[0]: ["SignalDelivered"],
        THERE[0]: ["approval"],
        ELSEWHERE[0]: ["ExecutionStarted"],
    }


async def test_a_message_that_is_delivered_twice_is_one(timed: StoreUnderTest, mail: Mail) -> None:
    """Whoever delivered it died before the answer was written; meanwhile its receiver has ended and was removed."""
    worker = await timed.worker(lease=1000)
    await timed.create(HERE[0])
    mail.stop()
    await worker.run(messages=(builders.sub_workflow(THERE[0], 2, parent_close=ParentClose.ABANDON),))
    (letter,) = mail.letters
    taken = await _received(timed, letter)
    await timed.backend.commit(Terminate(instance_id=THERE[0]))
    mail.go_on()
    for _ in range(3):  # relayed: the answer to the start, then the end, for which the removal waits
        await timed.advance(RELAYED)
        await timed.backend.housekeep()
    assert await timed.backend.commit(Remove(instance_id=THERE[0])) == Administered()
    assert await _received(timed, letter) == taken
    assert await timed.backend.count_instances() == {State.RUNNING: 1}
    assert names_of(await worker.claim_workflow_task()) == ["SubWorkflowFailed"]


async def _received(store: StoreUnderTest, letter: Letter) -> object:
    receipt = Receipt(letter, lambda _: None)
    return await store.backend._at_desk.submit(receipt.work)  # type: ignore[attr-defined]


async def test_an_answer_is_forgotten_when_its_letter_has_gone(timed: StoreUnderTest, mail: Mail) -> None:
    worker = await timed.worker(lease=1000)
    await timed.create(THERE[0])
    await worker.run()
    await timed.create(HERE[0])
    empty = await _received_count(timed)
    task = await worker.run(messages=(builders.send_signal(THERE[0], 1),))
    mail.stop()
    await worker.checkpoint(task, position=1, events=(), messages=(builders.send_signal(THERE[0], 2),))
    await _received(timed, mail.letters[0])
    assert await _received_count(timed) == empty + 2
    await timed.advance(100)
    await timed.backend.housekeep()
    assert await _received_count(timed) == empty + 1  # the other one may be relayed once more


async def _received_count(store: StoreUnderTest) -> int:
    async with beside(store) as other:
        found = [key for key in other.dump() if key.endswith(b":received")]
        return sum(other.client.hlen(key) for key in found)


async def test_a_child_whose_start_comes_after_its_parents_end_is_closed(timed: StoreUnderTest, mail: Mail) -> None:
    worker = await timed.worker(lease=1000)
    await timed.create(HERE[0])
    mail.stop()
    await worker.run(messages=(builders.sub_workflow(THERE[0], 2, parent_close=ParentClose.TERMINATE),))
    mail.go_on()
    await timed.backend.commit(Terminate(instance_id=HERE[0]))
    assert await timed.backend.count_instances() == {State.TERMINATED: 1}
    for _ in range(2):
        await timed.advance(RELAYED)
        await timed.backend.housekeep()
        await timed.backend.count_instances()  # what that sends has arrived
    assert await timed.backend.count_instances() == {State.TERMINATED: 2}


async def test_removing_waits_for_what_the_instance_has_sent(store: StoreUnderTest, mail: Mail) -> None:
    worker = await store.worker()
    await store.create(HERE[0])
    mail.stop()
    await worker.run(messages=(builders.send_signal(THERE[0], 1),), closing=builders.completed())
    assert (await store.backend.prune(InstanceFilter())).removed == 0
    with pytest.raises(StoreUnavailable, match="on their way"):
        await store.backend.commit(Remove(instance_id=HERE[0]))
    removing = asyncio.create_task(store.backend.commit(Remove(instance_id=HERE[0])))
    mail.go_on()
    writers = store.backend._opened.writer  # type: ignore[attr-defined]
    writers._courier.send(mail.letters)
    assert await removing == Administered()


async def test_a_sealed_store_has_no_messages_on_their_way(timed: StoreUnderTest, mail: Mail) -> None:
    """B12: what was sent travels with its receiver."""
    worker = await timed.worker(lease=1000)
    await timed.create(THERE[0])
    await worker.run()
    await timed.create(HERE[0])
    mail.stop()
    await worker.run(messages=(builders.send_signal(THERE[0], 1),))
    mail.go_on()
    await timed.backend.seal("elsewhere")
    exported = {each.instance_id: each async for each in timed.backend.export_instances()}
    assert [len(exported[each].tables["pending"]) for each in (HERE[0], THERE[0])] == [1, 1]


# --- claims


async def test_claims_go_by_priority_and_age_over_all_partitions(store: StoreUnderTest) -> None:
    ids = [each for some in zip(HERE, THERE, ELSEWHERE, strict=True) for each in some]
    for instance_id in ids:
        await store.create(instance_id)
    await store.create("urgent", priority=1)
    worker = await store.worker()
    claimed = [(await worker.claim_workflow_tasks(5)) for _ in range(3)]
    assert [task.instance_id for some in claimed for task in some] == ["urgent", *ids]


async def test_work_of_one_partition_lets_older_work_of_another_go_first(store: StoreUnderTest) -> None:
    """None starves: what a commit makes ready doesn't come back while older activities wait elsewhere."""
    worker = await store.worker()
    for instance_id in (HERE[0], THERE[0]):
        await store.create(instance_id)
    tasks = {task.instance_id: task for task in await worker.claim_workflow_tasks()}
    await worker.checkpoint(tasks[HERE[0]], activities=(builders.activity(1),))
    offer = worker.offer(1)
    done = await worker.checkpoint(tasks[THERE[0]], activities=(builders.activity(1),), offer=offer)
    assert done.activities == ()
    (first,) = await worker.claim_activities(1)
    assert first.instance_id == HERE[0]


async def test_each_task_is_claimed_once_by_several_processes(store: StoreUnderTest, other: Beside) -> None:
    for number in range(60):
        await store.create(f"order-{number}")
    workers = [await some.worker(f"worker-{number}") for number, some in enumerate((store, other.store) * 2)]
    claimed: list[str] = []
    while len(claimed) < 60:
        claims = await asyncio.gather(*(worker.claim(5, 0) for worker in workers))
        claimed += [task.instance_id for claim in claims for task in claim.workflow_tasks]
    assert len(set(claimed)) == 60


async def test_what_a_part_of_a_claim_has_leased_is_told_though_the_answer_of_another_is_lost(
    store: StoreUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B4: whoever claims must know that there may be more in its hands."""
    worker, other = await store.worker(), await store.worker("worker-2")
    for instance_id in (HERE[0], THERE[0]):
        await store.create(instance_id)
    lose_answers_of(store, 1, monkeypatch)

    claimed = await worker.claim()

    assert [task.instance_id for task in claimed.workflow_tasks] == [HERE[0]]
    assert claimed.is_uncertain
    monkeypatch.undo()
    assert await other.claim_workflow_tasks() == ()
    await until_done(worker.retire, Backoff(logging.getLogger(), "retiring"))
    assert [task.instance_id for task in await other.claim_workflow_tasks()] == [HERE[0], THERE[0]]


async def test_a_claim_of_which_nothing_is_known_fails_so_that_it_may_have_leased_something(
    store: StoreUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await store.worker()
    await store.create(THERE[0])
    lose_answers_of(store, 1, monkeypatch)

    with pytest.raises(StoreUnavailable) as caught:
        await worker.claim()

    assert not caught.value.is_unwritten


async def test_what_a_partition_refuses_hides_no_lost_answer_of_another(
    store: StoreUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await store.worker()
    for instance_id in (HERE[0], THERE[0], ELSEWHERE[0]):
        await store.create(instance_id)
    lose_answers_of(store, 1, monkeypatch)
    lose_answers_of(store, 2, monkeypatch, OutOfMemoryError("used memory > 'maxmemory'"))
    lose_answers_of(store, 0, monkeypatch, OutOfMemoryError("used memory > 'maxmemory'"))

    with pytest.raises(StoreUnavailable):
        await worker.claim()


def lose_answers_of(
    store: StoreUnderTest, number: int, monkeypatch: pytest.MonkeyPatch, problem: Exception | None = None
) -> None:
    """What this partition writes is written, and then its connection breaks; or it refuses to."""
    link = store.backend._opened.writer._writers[number]._link  # type: ignore[attr-defined]
    commit = link.commit

    def lose(changes: Changes) -> None:
        if not changes:
            commit(changes)
            return
        if problem is None:
            commit(changes)
        raise problem or ConnectionError("the connection broke")

    monkeypatch.setattr(link, "commit", lose)


# --- workers


async def test_heartbeats_do_not_wait_for_messages(store: StoreUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = await store.worker()
    await store.create(HERE[0])
    courier = store.backend._opened.writer._courier  # type: ignore[attr-defined]
    held: list[tuple[int, list[Job]]] = []
    put = courier._put
    monkeypatch.setattr(courier, "_put", lambda number, jobs: held.append((number, jobs)))
    await worker.run(messages=(builders.send_signal(THERE[0], 1),))

    async with asyncio.timeout(10):
        assert (await store.backend.beat(worker.key)).is_alive

    monkeypatch.undo()
    for each in held:
        put(*each)


async def test_questions_are_answered_though_a_part_of_the_store_cannot_be_reached(
    store: StoreUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are taken where they lie: nobody else would find them there again."""
    worker = await store.worker()
    await store.create(HERE[0])
    await worker.run()
    cut_off(store, 1, monkeypatch)
    asked = asyncio.create_task(store.backend.ask(HERE[0], b"how far?", 30))

    while not (questions := await store.backend.take_questions(worker.key)):
        await store.backend.wait_for_questions(worker.key, 1)

    with pytest.raises(StoreUnavailable):  # it can't be known where else it might be waited for
        await store.backend.answer(questions[0].question_id, b"half")
    assert await asked == b"half"


async def test_of_what_a_part_of_the_store_has_done_nobody_says_that_nothing_was_written(
    store: StoreUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await store.worker()
    cut_off(store, 1, monkeypatch)

    with pytest.raises(StoreUnavailable) as of_one:
        await store.create(THERE[0])
    with pytest.raises(StoreUnavailable) as of_all:
        await worker.stop()

    assert of_one.value.is_unwritten
    assert not of_all.value.is_unwritten


def cut_off(store: StoreUnderTest, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node of this partition is away."""
    writer = store.backend._opened.writer._writers[number]  # type: ignore[attr-defined]
    monkeypatch.setattr(writer._connection, "is_open", False)
    monkeypatch.setattr(writer._link, "open", _refuse)


def _refuse() -> None:
    raise ConnectionRefusedError


async def test_a_worker_that_is_dead_in_one_partition_is_told_so(store: StoreUnderTest, other: Beside) -> None:
    worker = await store.worker()
    key = worker.key.to_bytes(8)
    tag = f"{{{prefix_of(store)}:1}}:"
    other.client.zadd(f"{tag}alive", {key: 1})
    assert (await other.backend.housekeep()).workers_lost == 1
    assert not (await store.backend.beat(worker.key)).is_alive


# --- limited queues


async def _limit(store: StoreUnderTest, **limits: Any) -> None:
    await store.backend.put_setting(SettingKind.QUEUE, "default", msgspec.json.encode(QueueLimits(**limits)))


def _numbered(count: int) -> tuple[NewActivity, ...]:
    return tuple(builders.activity(number) for number in range(1, count + 1))


async def _with_activities(store: StoreUnderTest, worker: PlayedWorker, ids: Sequence[str]) -> None:
    for instance_id in ids:
        await store.create(instance_id)
        await worker.run(activities=_numbered(3))


async def test_a_limit_holds_over_all_partitions_and_processes(store: StoreUnderTest, other: Beside) -> None:
    await _limit(store, at_once=4)
    workers = [await store.worker(), await other.store.worker("worker-2")]
    await _with_activities(store, workers[0], (HERE[0], THERE[0], ELSEWHERE[0]))
    running = []
    for _ in range(4):
        claims = await asyncio.gather(*(worker.claim_activities(3) for worker in workers))
        running += [(worker, task) for worker, some in zip(workers, claims, strict=True) for task in some]
        assert len(running) <= 4
    assert len(running) == 4
    for worker, task in running[:2]:
        await worker.complete(task)
    assert len([task for worker in workers for task in await worker.claim_activities(9)]) == 2


async def test_partitions_do_not_compete_for_a_permit(store: StoreUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker alone is never refused one, however many partitions have something for it."""
    refused: list[object] = []

    def run(script: Script, *given: Any) -> Any:
        answer = plain(script, *given)
        if script is TAKE_PERMITS and answer != b"taken":
            refused.append(answer)
        return answer

    await _limit(store, at_once=2)
    worker = await store.worker()
    await _with_activities(store, worker, (HERE[0], THERE[0], ELSEWHERE[0]))
    plain = Script.run
    monkeypatch.setattr(Script, "run", run)
    first = [await worker.claim_activities(9), await worker.claim_activities(9)]
    assert [len(some) for some in first] == [2, 0]
    for task in first[0]:
        await worker.complete(task)
        assert len(await worker.claim_activities(9)) == 1
    assert refused == []


async def test_what_runs_already_counts_from_the_beginning_of_a_limit(store: StoreUnderTest) -> None:
    worker = await store.worker()
    await _with_activities(store, worker, (HERE[0], THERE[0], ELSEWHERE[0]))
    assert len(await worker.claim_activities(4)) == 4
    await _limit(store, at_once=5)
    assert len(await worker.claim_activities(9)) == 1


async def test_limits_that_were_set_in_part_of_the_partitions_hold_in_all(timed: StoreUnderTest) -> None:
    """Whoever set them was broken off."""
    limits = msgspec.json.encode(QueueLimits(paused=True))
    worker = await timed.worker(lease=1000)
    await _with_activities(timed, worker, (THERE[0],))
    async with beside(timed) as other:
        tag = f"{{{prefix_of(timed)}:0}}:"
        other.client.hset(f"{tag}settings:queue", "default", limits)
        other.client.hincrby(f"{tag}header", "generation", 1)
    await timed.advance(61)
    await timed.backend.housekeep()
    assert await worker.claim_activities(1) == ()


async def test_permits_of_a_dead_process_come_free(timed: StoreUnderTest) -> None:
    """Taken, and never used: a minute later that is found."""
    await _limit(timed, at_once=1)
    worker = await timed.worker(lease=1000)
    await _with_activities(timed, worker, (HERE[0],))
    now = int((await timed.backend.now()).timestamp() * 1_000_000)
    async with beside(timed) as other:
        backend: Any = timed.backend
        home = backend._opened._first.layout.home_of("default").begun("default")
        other.client.zadd(home, {(3).to_bytes(8) + bytes(8): now})
    assert await worker.claim_activities(1) == ()
    await timed.advance(130)
    await timed.backend.housekeep()
    assert len(await worker.claim_activities(1)) == 1


async def test_two_hundred_creations_of_one_id_have_one_winner(store: StoreUnderTest, other: Beside) -> None:
    requests = [builders.create(THERE[0]) for _ in range(100)]
    outcomes = await asyncio.gather(
        *(some.commit(each) for each in requests for some in (store.backend, other.backend))
    )
    assert len({outcome.execution_id for outcome in outcomes if isinstance(outcome, Created)}) == 1
