"""What a claim reads doesn't grow with those who have left the lines, and whoever joins one is found all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import asyncpg
import msgspec
import pytest

from perdure.backends.postgres import PostgresBackend, PostgresOptions
from perdure.backends.postgres.address import Address
from perdure.backends.postgres.session import OF_WRITING, PostgresSession
from perdure.backends.postgres.tables import PostgresTables
from perdure.backends.sql.driven import Statement
from perdure.backends.sql.plan import WAITS
from perdure.backends.sql.session import Rows
from perdure.backends.urls import StoreUrl
from perdure.clock import SystemClock, random_id, to_micros
from perdure.model.transition import ClaimTasks, Resume, Suspend
from perdure.testing.conformance import ManualClock, StoreUnderTest, builders
from perdure.testing.conformance.playing import PlayedWorker
from tests.stores import service_url

pytestmark = pytest.mark.server

_GONE = 20_000
_SECOND = 1_000_000
_HOUR = 3_600 * _SECOND
_MOST_SURVEYS = 2_000
"""Somebody else's transactions on the server end within so many: each second of a test is a hundred."""

_CLAIM = ClaimTasks(
    worker_key=7,
    workflow_slots=10,
    workflow_queues=("q", "r"),
    workflow_names=frozenset({"w"}),
    activity_slots=10,
    activity_queues=("q",),
    activity_names=frozenset({"a"}),
)
_INSTANCES = """insert into perdure_instances (key, instance_id, execution_id, execution_number, began_at, workflow, queue,
        priority, state, created_at, updated_at, request_id, digest, position, history_bytes, open_activities, children,
        pending_count, next_pending, claimed, suspended, stuck_attempts, lost, revision, wake_at, worker, phase)
    select n, n::text, '', 1, 0, 'w', 'q', 0, 0, 0, 0, '', '', 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, {at}, {worker}, {phase}
    from generate_series({first}, {last}) n"""
_ACTIVITIES = """insert into perdure_activities (key, instance_key, execution_number, number, name, queue, priority,
        scheduled_at, due_at, attempt, lost, cancel_requested, orphaned, limited, body, revision, worker, phase)
    select n, n, 1, 1, 'a', 'q', 0, 0, {at}, 1, 0, 0, 0, 0, '', 0, {worker}, {phase}
    from generate_series({first}, {last}) n"""
_INSERT = {"instances": _INSTANCES, "activities": _ACTIVITIES}


class CountingSession(PostgresSession):
    """Counts the pages that looks read: of tables and indexes, cached or not."""

    pages = 0

    async def ask(self, statement: Statement, parameters: Sequence[Any]) -> Rows:
        if statement.is_plain:
            text = f"explain (analyze, buffers, format json) {statement.text}"
            (found,) = msgspec.json.decode(str(await self.connection.fetchval(text, *parameters)))
            self.pages += found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"]
        return await super().ask(statement, parameters)


class Store:
    """A schema, with the tables of a process over it."""

    def __init__(self, url: str, schema: str) -> None:
        self.options = PostgresOptions(schema=schema)
        self.source = Address(StoreUrl(url), {}, self.options)
        self.session = CountingSession(self.source, self.options, OF_WRITING)
        self.session.open()
        self.tables = PostgresTables(self.session)
        self.tables.seal_target()

    @property
    def now(self) -> int:
        return SystemClock().now()

    def put(self, table: str, phase: int, *, count: int = 1, at: int | None = None, worker: int | None = None) -> None:
        """Rows that wait, or are held, since an hour ago; not committed."""
        first = int(self.session.execute(f"select coalesce(max(key), 0) + 1 from perdure_{table}").fetchone()[0])
        self.session.execute(
            _INSERT[table].format(
                at=self.now - _HOUR if at is None else at,
                worker="null" if worker is None else worker,
                phase=phase,
                first=first,
                last=first + count - 1,
            )
        )

    def survey(self) -> bool:
        """Whether there is anything to claim."""
        found = self.tables.survey(_CLAIM, self.now)
        return found.has_workflow_task or found.has_activity

    def pages_of_survey(self) -> int:
        self.session.pages = 0
        self.survey()
        return self.session.pages

    def survey_until_bounded(self, pages: int) -> None:
        """Until a survey reads at most so many pages."""
        for _ in range(_MOST_SURVEYS):
            if self.pages_of_survey() <= pages:
                return
        pytest.fail("no survey got cheaper")


@pytest.fixture
def store() -> Iterator[Store]:
    url, schema = service_url("postgresql"), f"t{random_id().hex()}"

    async def make() -> None:
        backend = PostgresBackend(url, PostgresOptions(schema=schema))
        await backend.open()
        await backend.close()

    async def drop() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(f'drop schema "{schema}" cascade')
        await connection.close()

    asyncio.run(make())
    store = Store(url, schema)
    yield store
    store.session.close()
    asyncio.run(drop())


@contextmanager
def another_session(store: Store) -> Iterator[PostgresSession]:
    session = PostgresSession(store.source, store.options)
    session.open()
    try:
        yield session
    finally:
        session.close()


@contextmanager
def old_snapshot(store: Store) -> Iterator[None]:
    """A stranger's open transaction, which keeps the server from forgetting rows as they were."""
    with another_session(store) as stranger, stranger.snapshot():
        stranger.execute("select count(*) from perdure_instances")
        yield


def fill_with_gone(store: Store, table: str, phase: int) -> None:
    """Many have stood in a line, and none is there any more."""
    store.put(table, phase, count=_GONE, worker=7 if phase == 3 else None)
    store.session.commit()
    store.session.execute(f"update perdure_{table} set phase = 0")
    store.session.commit()


_LINES = [("instances", 1), ("instances", 2), ("instances", 3), ("activities", 1), ("activities", 2)]


@pytest.mark.parametrize(("table", "phase"), _LINES)
def test_a_claim_passes_over_those_who_have_left(store: Store, table: str, phase: int) -> None:
    few = store.pages_of_survey()
    with old_snapshot(store):
        fill_with_gone(store, table, phase)
        assert store.pages_of_survey() > _GONE / 200  # else there is nothing to pass over
        store.survey_until_bounded(few + 20)


@pytest.mark.parametrize(("table", "phase"), _LINES)
def test_so_it_does_while_others_come_and_go(store: Store, table: str, phase: int) -> None:
    few = store.pages_of_survey()
    with old_snapshot(store):
        fill_with_gone(store, table, phase)
        store.put(table, phase, at=store.now - 1, worker=7 if phase == 3 else None)
        store.session.commit()
        store.survey_until_bounded(few + 20)
        assert store.survey()


def test_so_do_the_claim_itself_and_who_asks_whether_somebody_waits(store: Store) -> None:
    with old_snapshot(store):
        for table in ("instances", "activities"):
            fill_with_gone(store, table, 1)
            store.put(table, 1, at=store.now - 1)
        store.session.commit()
        store.survey_until_bounded(80)
        tables, session = store.tables, store.session
        session.pages = 0
        assert len(tables.ready_instances("q", frozenset({"w"}), None, 100)) == 1
        assert len(tables.ready_activities("q", frozenset({"a"}), 100)) == 1
        for condition in WAITS.values():
            since = store.now - 10 * _SECOND
            assert session.execute(f"select {condition}", ("q", since, "q", since, store.now)).fetchone() == (True,)
        assert session.pages < 60


@pytest.mark.parametrize(("table", "phase"), _LINES)
def test_what_is_committed_late_is_found_at_once(store: Store, table: str, phase: int) -> None:
    with another_session(store) as stranger:
        mine, store.session = store.session, stranger  # type: ignore[assignment]
        store.put(table, phase, worker=7 if phase == 3 else None)
        store.session = mine
        for _ in range(20):
            assert not store.survey()
        stranger.commit()
        assert store.survey()


def test_leases_that_end_are_found_at_once(store: Store) -> None:
    store.put("instances", 0, worker=9)
    store.session.execute("update perdure_instances set claimed = 1")
    store.session.commit()
    for _ in range(20):
        assert not store.survey()
    store.tables.release_instances(9, store.now)
    store.session.commit()
    assert store.survey()


@pytest.fixture
async def by_the_clock(empty_store: Callable[[str], str]) -> AsyncIterator[StoreUnderTest]:
    """A store whose time the test sets, so that bounds go on."""
    server, _, schema = empty_store("postgresql").partition("?schema=")
    clock = ManualClock()
    backend = PostgresBackend(server, PostgresOptions(schema=schema), clock=clock)
    await backend.open()

    async def advance(seconds: float) -> None:
        clock.advance(seconds)

    yield StoreUnderTest(backend, advance=advance)
    await backend.close()


async def pass_the_time(store: StoreUnderTest) -> PlayedWorker:
    """A worker that has looked now and then for long, and has found nothing."""
    worker = await store.worker("looks", lease=10_000)
    for _ in range(20):
        await store.advance(6)
        assert not (await worker.claim()).workflow_tasks
    return worker


async def test_an_activity_of_an_instance_that_is_resumed_is_found_at_once(by_the_clock: StoreUnderTest) -> None:
    store = by_the_clock
    await store.create("order-1")
    await (await store.worker(lease=10_000)).run(activities=(builders.activity(),))
    await store.backend.commit(Suspend(instance_id="order-1"))
    looks = await pass_the_time(store)
    await store.backend.commit(Resume(instance_id="order-1"))
    assert await looks.claim_activities()


async def test_a_timer_that_was_due_long_ago_is_found_at_once(by_the_clock: StoreUnderTest) -> None:
    store = by_the_clock
    await store.create("order-1")
    worker = await store.worker(lease=10_000)
    task = await worker.claim_workflow_task()
    due_at = to_micros(await store.backend.now())
    looks = await pass_the_time(store)
    await worker.checkpoint(task, next_timer_at=due_at, release=True)
    assert (await looks.claim_workflow_task()).instance_id == "order-1"


def test_each_table_is_vacuumed_often(store: Store) -> None:
    found = store.session.execute(
        "select relname, array_to_string(reloptions, ' ') from pg_class where relnamespace = ?::regnamespace::oid",
        (f'"{store.options.schema}"',),
    ).fetchall()
    options = dict(found)
    for table in ("instances", "activities", "pending", "receipts"):
        assert "autovacuum_vacuum_scale_factor=0.01" in options[f"perdure_{table}"]
        assert "autovacuum_vacuum_cost_delay=0" in options[f"perdure_{table}"]
