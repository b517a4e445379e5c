"""Transitions handed in without a task of their own."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from perdure.backends.answers import Answer
from perdure.backends.sqlite import SqliteBackend
from perdure.errors import StoreUnavailable, StoreUsageError
from perdure.model.transition import Appended, ClaimTasks, Created
from perdure.testing.conformance import builders
from perdure.testing.conformance.playing import PlayedWorker
from tests.backends.sqlite_helpers import commits, opened


def _claim(worker: PlayedWorker) -> ClaimTasks:
    start = worker.start
    return ClaimTasks(
        worker_key=worker.key,
        workflow_queues=start.workflow_queues,
        workflow_slots=1,
        workflow_names=start.workflow_names,
        activity_queues=start.activity_queues,
        activity_slots=1,
        activity_names=start.activity_names,
    )


async def test_a_store_that_is_not_open_answers_with_the_error(tmp_path: Path) -> None:
    backend = SqliteBackend(str(tmp_path / "store.db"))
    future = backend.submit(builders.create())
    with pytest.raises(StoreUsageError, match="isn't open"):
        await future


async def test_a_store_that_is_closing_answers_with_the_error(tmp_path: Path) -> None:
    backend = SqliteBackend(str(tmp_path / "store.db"))
    await backend.open()
    mailbox = backend._at_desk.mailbox
    desk = backend._at_desk
    await backend.close()
    assert not mailbox.is_busy
    backend._desk = desk  # somebody has got hold of it before
    future = backend.submit(builders.create())
    with pytest.raises(StoreUnavailable, match="closed"):
        await future


async def test_callbacks_come_in_order_and_from_one_commit(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        told: list[object] = []
        before = commits(store)
        answers: list[Answer[Any]] = [
            store.backend.submit(builders.create()),
            *(store.backend.submit(builders.append_signal()) for _ in range(20)),
        ]

        def note(number: int, done: Answer[Any]) -> None:
            told.append((number, type(done.result())))

        for number, answer in enumerate(answers):
            answer.add_done_callback(partial(note, number))
        while len(told) < len(answers):
            await asyncio.sleep(0.001)
        assert told == [(0, Created), *((number, Appended) for number in range(1, 21))]
        assert commits(store) - before == 1


async def test_a_lonely_transition_does_not_wait_for_company(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        mailbox = store.backend._at_desk.mailbox  # type: ignore[attr-defined]
        await store.create("order-1")
        store.backend.submit(builders.append_signal("order-1"))
        assert mailbox._under_way == 1
        before = commits(store)
        answers = [store.backend.submit(builders.append_signal("order-1")) for _ in range(20)]
        assert mailbox._under_way == 1
        for answer in answers:
            await answer
        assert commits(store) - before <= 2


async def test_a_submitted_claim_is_followed_by_a_bell(tmp_path: Path) -> None:
    """It begins as `commit` does: what was there is seen by it, what comes later rings, at the time that it tells too."""
    async with opened(tmp_path / "store.db") as store:
        worker = await store.worker()
        await store.create("later", start_delay=100_000)
        claimed = await store.backend.submit(_claim(worker))
        assert not claimed.workflow_tasks
        assert claimed.next_due_at is not None
        await store.backend.wait_for_work(worker.key, 10)
        assert [task.instance_id for task in (await store.backend.submit(_claim(worker))).workflow_tasks] == ["later"]


async def test_a_submitted_claim_whose_caller_has_gone_harms_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        worker = await store.worker()
        store.backend.submit(_claim(worker))
        await store.create()
        assert len(await worker.claim_workflow_tasks()) == 1
