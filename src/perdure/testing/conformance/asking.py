"""What every store promises about questions to workers, and their answers."""

from __future__ import annotations

import asyncio

from perdure.backends.protocol import Question
from perdure.clock import random_id
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import PlayedWorker, StoreUnderTest
from perdure.testing.conformance.waiting import LONG


async def is_asked(worker: PlayedWorker) -> bool:
    """Whether the worker hears of a question long before its time-out."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    await worker.backend.wait_for_questions(worker.key, LONG)
    return loop.time() - before < LONG / 2


async def all_taken(worker: PlayedWorker) -> None:
    """Until there is no question for the worker: a hint may come for nothing, but not again and again."""
    loop = asyncio.get_running_loop()
    for _ in range(20):
        await worker.backend.take_questions(worker.key)
        before = loop.time()
        await worker.backend.wait_for_questions(worker.key, 0.05)
        if loop.time() - before >= 0.04:
            return
    raise AssertionError("a worker is told of questions all the time")


async def taken_by(worker: PlayedWorker, count: int) -> list[Question]:
    """So many questions, which may not come at once."""
    taken: list[Question] = []
    while len(taken) < count:
        taken += await worker.backend.take_questions(worker.key)
        await asyncio.sleep(0.005)
    return taken


class Asking:
    async def test_the_holder_is_asked_and_answers(self, store: StoreUnderTest) -> None:
        """B1: a short-lived request to the worker that has an execution, and its reply."""
        await store.create("order-1")
        holder, other = await store.worker(), await store.worker("worker-2")
        await holder.run()
        await all_taken(holder)
        waiting = asyncio.create_task(is_asked(holder))
        asking = asyncio.create_task(store.backend.ask("order-1", b"how far?", LONG))
        assert await waiting
        assert list(await store.backend.take_questions(other.key)) == []
        (question,) = await store.backend.take_questions(holder.key)
        assert (question.instance_id, question.request) == ("order-1", b"how far?")
        assert list(await store.backend.take_questions(holder.key)) == []
        await store.backend.answer(question.question_id, b"half")
        assert await asyncio.wait_for(asking, LONG / 2) == b"half"

    async def test_work_is_no_question(self, store: StoreUnderTest) -> None:
        worker = await store.worker()
        await all_taken(worker)
        await store.create("order-1")
        await store.backend.wait_for_questions(worker.key, 0.05)
        assert list(await store.backend.take_questions(worker.key)) == []

    async def test_what_nobody_holds_is_asked_of_one_who_could(self, store: StoreUnderTest) -> None:
        """Executions that were evicted, are stuck or have ended: the worker reads their history."""
        worker = await store.worker()
        stranger = await store.worker("worker-2", workflow_queues=("elsewhere",))
        await store.create("evicted")
        await worker.run(release=True)
        await store.finished(worker, "ended", closing=builders.completed())
        await all_taken(worker)
        waiting = asyncio.create_task(is_asked(worker))
        asking = [asyncio.create_task(store.backend.ask(name, name.encode(), LONG)) for name in ("evicted", "ended")]
        assert await waiting
        taken = await taken_by(worker, 2)
        assert list(await store.backend.take_questions(stranger.key)) == []
        assert {question.instance_id for question in taken} == {"evicted", "ended"}
        for question in taken:
            await store.backend.answer(question.question_id, b"re " + question.request)
        assert await asyncio.wait_for(asyncio.gather(*asking), LONG / 2) == [b"re evicted", b"re ended"]

    async def test_housekeeping_tells_all_of_a_question_that_nobody_has_taken(self, store: StoreUnderTest) -> None:
        """A notice may be lost, and whoever was told may not come to it."""
        workers = [await store.worker(f"worker-{number}") for number in range(3)]
        await store.create("order-1")
        for worker in workers:
            await all_taken(worker)
        waiting = [asyncio.create_task(is_asked(worker)) for worker in workers]
        asking = asyncio.create_task(store.backend.ask("order-1", b"how far?", LONG))
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await store.backend.housekeep()
        assert await asyncio.gather(*waiting) == [True] * 3
        (question,) = await taken_by(workers[0], 1)
        await store.backend.answer(question.question_id, b"half")
        assert await asking == b"half"

    async def test_a_question_is_taken_once_whoever_could(self, store: StoreUnderTest) -> None:
        workers = [await store.worker(f"worker-{number}") for number in range(3)]
        await store.create("order-1")
        asking = [asyncio.create_task(store.backend.ask("order-1", b"%d" % n, LONG)) for n in range(5)]
        taken: list[bytes] = []
        while len(taken) < 5:
            found = await asyncio.gather(*(store.backend.take_questions(worker.key) for worker in workers))
            taken += [question.question_id for questions in found for question in questions]
        assert len({*taken}) == 5
        await asyncio.gather(*(store.backend.answer(question, b"!") for question in taken))
        assert await asyncio.wait_for(asyncio.gather(*asking), LONG / 2) == [b"!"] * 5

    async def test_where_nobody_serves_it_nobody_is_asked(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        gone = await store.worker()
        await store.worker("worker-2", workflow_names=frozenset({"another"}))
        await store.worker("worker-3", versions=frozenset({"2"}))
        await store.backend.stop_worker(gone.key)
        assert await asyncio.wait_for(store.backend.ask("order-1", b"?", LONG), LONG / 2) is None
        assert await asyncio.wait_for(store.backend.ask("nobody", b"?", LONG), LONG / 2) is None

    async def test_without_an_answer_in_time_there_is_none(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run()
        assert await store.backend.ask("order-1", b"?", 0.05) is None

    async def test_an_answer_too_late_harms_nobody(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run()
        asking = asyncio.create_task(store.backend.ask("order-1", b"?", 0.2))
        await asyncio.sleep(0.02)
        (question,) = await store.backend.take_questions(worker.key)
        assert await asking is None
        await store.backend.answer(question.question_id, b"late")

    async def test_many_questions_each_get_their_own_answer(self, store: StoreUnderTest) -> None:
        await store.create("order-1")
        worker = await store.worker()
        await worker.run()
        asking = [asyncio.create_task(store.backend.ask("order-1", b"%d" % n, LONG)) for n in range(10)]
        await asyncio.sleep(0.05)
        for question in await store.backend.take_questions(worker.key):
            await store.backend.answer(question.question_id, b"re " + question.request)
        assert await asyncio.wait_for(asyncio.gather(*asking), LONG / 2) == [b"re %d" % n for n in range(10)]

    async def test_an_answer_finds_who_waits_for_it_by_its_id(self, store: StoreUnderTest) -> None:
        """An update is a pending event, which names the question that its answer is for."""
        worker = await store.worker()
        await store.create("order-1")
        mine, others = random_id(), random_id()
        waiting = asyncio.create_task(store.backend.wait_for_answer(mine, LONG))
        await asyncio.sleep(0.05)
        assert list(await store.backend.take_questions(worker.key)) == []
        await store.backend.answer(others, b"not for me")
        await store.backend.answer(mine, b"first")
        await store.backend.answer(mine, b"second")
        assert await asyncio.wait_for(waiting, LONG / 2) == b"first"

    async def test_an_answer_that_doesnt_come_in_time_is_none(self, store: StoreUnderTest) -> None:
        assert await store.backend.wait_for_answer(random_id(), 0.02) is None
