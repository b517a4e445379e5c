"""What SQLite and the disk can do to a store, and what its callers are told."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path

import pytest

from perdure.backends.sqlite import SqliteBackend, SqliteOptions
from perdure.backends.sqlite.oslock import FileLock
from perdure.backends.sqlite.tables import connection_of
from perdure.errors import (
    ConfigurationError,
    StoreCorrupt,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    StoreUsageError,
)
from perdure.model.instance import State
from perdure.model.transition import Created
from perdure.testing.conformance import builders
from tests.backends.sqlite_helpers import opened, run_program


async def test_a_strangers_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as store:
        stranger = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        stranger.execute("begin immediate")
        create = asyncio.create_task(store.create())
        await asyncio.sleep(0.1)
        assert not create.done()
        stranger.execute("rollback")
        stranger.close()
        await create


def is_unwritten(outcome: object) -> bool:
    return isinstance(outcome, StoreUnavailable) and outcome.is_unwritten


async def test_a_strangers_lock_that_stays_is_an_error_and_nothing_was_written(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path, lock_timeout_seconds=0.2) as store:
        stranger = sqlite3.connect(path, isolation_level=None)
        stranger.execute("begin immediate")
        began = time.monotonic()
        outcomes = await asyncio.gather(
            *(store.backend.commit(builders.create(f"order-{number}")) for number in range(100)), return_exceptions=True
        )
        assert {is_unwritten(outcome) for outcome in outcomes} == {True}
        assert "locked by another program" in str(outcomes[0])
        assert time.monotonic() - began < 10  # one wait for all, and not 20 s
        stranger.execute("rollback")
        stranger.close()
        assert await store.backend.count_instances() == {}
        await store.create()


async def test_a_process_that_stops_with_the_lock_makes_nobody_wait_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path, lock_timeout_seconds=0.5) as store:
        stopped = FileLock(tmp_path / "store.db-lock")
        stopped.acquire()
        began = time.monotonic()
        first = asyncio.gather(
            *(store.backend.commit(builders.create(f"order-{number}")) for number in range(50)), return_exceptions=True
        )
        await asyncio.sleep(0.3)  # what comes while the thread waits is given up, too
        late = asyncio.gather(store.backend.commit(builders.create("late")), return_exceptions=True)
        outcomes = [*await first, *await late]
        assert time.monotonic() - began < 12  # and not 25 s
        assert {is_unwritten(outcome) for outcome in outcomes} == {True}
        stopped.close()
        await store.create()
        assert await store.backend.count_instances() == {State.RUNNING: 1}


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(StoreCorrupt, match="no SQLite database or is damaged"):
        await SqliteBackend(str(path)).open()
    assert path.read_text().startswith("Dear diary")


async def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as store:
        for number in range(200):
            await store.create(f"order-{number}")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    backend = SqliteBackend(str(path))
    with pytest.raises(StoreCorrupt):
        await backend.open()
        await backend.commit(builders.create("another"))
    await backend.close()


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"no directory .*nowhere"):
        await SqliteBackend(str(tmp_path / "nowhere" / "store.db")).open()


async def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="can't be opened"):
        await SqliteBackend(str(tmp_path)).open()


async def test_a_failed_opening_can_be_repeated(tmp_path: Path) -> None:
    backend = SqliteBackend(str(tmp_path / "later" / "store.db"))
    with pytest.raises(StoreUnavailable):
        await backend.open()
    (tmp_path / "later").mkdir()
    await backend.open()
    assert isinstance(await backend.commit(builders.create()), Created)
    await backend.close()


async def test_a_full_database_harms_what_does_not_fit_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as store:
        assert isinstance(store.backend, SqliteBackend)
        await store.create("small-0")
        await store.backend._write(
            lambda unit: connection_of(unit).execute(
                f"pragma max_page_count = {connection_of(unit).execute('pragma page_count').fetchone()[0] + 50}"
            )
        )
        huge = builders.signal(payload=b"x" * 1_000_000)
        good = [store.backend.commit(builders.create(f"small-{number}")) for number in range(1, 20)]
        bad = store.backend.commit(builders.append_signal("small-0", event=huge))
        *outcomes, error = await asyncio.gather(*good, bad, return_exceptions=True)
        assert all(isinstance(outcome, Created) for outcome in outcomes)
        assert isinstance(error, StoreFull)
        await store.backend._write(lambda unit: connection_of(unit).execute("pragma max_page_count = 1073741823"))
        await store.backend.commit(builders.append_signal("small-0", event=huge))


def test_a_limit_on_the_size_of_files_is_a_store_error(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    code = """
async def main():
    async with opened(path) as store:
        try:
            for number in range(1000):
                await store.create(f"order-{number}")
                await store.signal(f"order-{number}", event=builders.signal(payload=b"x" * 10_000))
        except (StoreFull, StoreUnavailable) as error:
            print(type(error).__name__, await store.backend.count_instances() != {})
"""
    assert run_program(code, tmp_path / "store.db", preexec_fn=limit).split()[1] == "True"


@pytest.mark.skipif(os.geteuid() != 0, reason="root may write what it likes, unless it becomes somebody else")
def test_a_database_that_may_not_be_written_says_so(tmp_path: Path) -> None:
    code = """
async def main():
    os.seteuid(65534)
    backend = SqliteBackend(path)
    try:
        await backend.open()
        await backend.commit(builders.create())
    except (StoreReadOnly, StoreUnavailable) as error:
        print(type(error).__name__)
"""
    path = tmp_path / "store.db"
    run_program("async def main():\n    async with opened(path): pass", path)
    for directory in (tmp_path, *tmp_path.parents):
        if str(directory).startswith("/tmp/"):
            directory.chmod(0o755)
    for file in tmp_path.iterdir():
        file.chmod(0o644) if file.is_file() else file.chmod(0o755)
    assert run_program(code, path).strip() == StoreReadOnly.__name__


async def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreUsageError, match="await its open"):
        await SqliteBackend(str(tmp_path / "store.db")).commit(builders.create())


async def test_handles_of_one_file_must_agree_about_durability(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db"):
        with pytest.raises(ConfigurationError, match="must agree"):
            await SqliteBackend(str(tmp_path / "store.db"), SqliteOptions(synchronous="normal")).open()
