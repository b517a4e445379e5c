"""URLs and the backends that they become."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from perdure.backends.connect import connect, migration_script
from perdure.backends.memory import MemoryBackend
from perdure.backends.sqlite import SqliteBackend, SqliteOptions
from perdure.errors import ConfigurationError
from perdure.model.instance import State
from perdure.testing.conformance import builders


def test_memory_urls() -> None:
    assert isinstance(connect("memory://"), MemoryBackend)
    named = connect("memory://name")
    assert isinstance(named, MemoryBackend)
    assert named.url == "memory://name"


def test_a_path_after_three_slashes_is_relative_and_after_four_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert connect("sqlite:///orders.db").url == f"sqlite:///{tmp_path}/orders.db"
    assert connect("sqlite:////var/lib/orders.db").url == "sqlite:////var/lib/orders.db"
    assert connect("sqlite:///with%20space.db").url == f"sqlite:///{tmp_path}/with%20space.db"
    assert connect("sqlite:///:memory:").url == "sqlite:///:memory:"


async def test_a_url_that_a_backend_gives_leads_to_the_same_store(tmp_path: Path) -> None:
    one = connect(f"sqlite:///{tmp_path}/what%3F %231.db")
    await one.open()
    await one.commit(builders.create())
    two = connect(one.url)
    await two.open()
    assert await two.count_instances() == {State.RUNNING: 1}
    await two.close()
    await one.close()


def test_options_come_from_the_query_and_from_keywords_which_go_before(tmp_path: Path) -> None:
    backend = connect(f"sqlite:///{tmp_path}/a.db?synchronous=normal&migrate=false&lock_timeout_seconds=2.5")
    assert isinstance(backend, SqliteBackend)
    assert backend._options == SqliteOptions(synchronous="normal", migrate=False, lock_timeout_seconds=2.5)
    backend = connect(f"sqlite:///{tmp_path}/a.db?synchronous=normal", synchronous="FULL", migrate=False)
    assert isinstance(backend, SqliteBackend)
    assert backend._options == SqliteOptions(synchronous="full", migrate=False)


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("oracle://host/db", {}, "no store has the scheme 'oracle'. There are mariadb, memory, mysql, postgres"),
        ("orders.db", {}, "is no store's URL.*sqlite:/// before it"),
        ("sqlite:orders.db", {}, "is no store's URL"),
        ("sqlite://orders.db", {}, "three slashes"),
        ("sqlite:///", {}, "three slashes"),
        ("sqlite:///a.db#b", {}, "%23"),
        ("sqlite:///a.db?synchronous=off", {}, "full .the default. or normal"),
        ("sqlite:///a.db?sync=full", {}, "no option sync; there are synchronous"),
        ("sqlite:///a.db?migrate=maybe", {}, "true or false"),
        ("sqlite:///a.db", {"lock_timeout_seconds": 0}, "seconds over 0"),
        ("sqlite:///a.db?migrate", {}, "what follows the"),
        ("sqlite:///a.db?migrate=1&migrate=0", {}, "migrate twice"),
        ("memory://name/more", {}, "nothing after it"),
        ("memory://name", {"migrate": False}, "no option migrate; there are blob_threshold"),
        ("http://[half", {}, "is no store's URL"),
        (Path("orders.db"), {}, "must be|is a str"),
    ],
)
def test_a_wrong_url_or_option_says_what_is_right(url: str, options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        connect(url, **options)


def test_a_store_is_imported_when_it_is_asked_for() -> None:
    code = (
        "import sys; from perdure.backends.connect import connect; connect('memory://')\n"
        "print([name for name in sys.modules if 'sqlite' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_driver_that_is_missing_is_named_with_what_installs_it() -> None:
    code = (
        "import sys; sys.modules['asyncpg'] = None\nfrom perdure import connect; connect('postgresql://host/database')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (
        "postgresql:// needs the package asyncpg, which isn't installed: pip install perdure[postgres]" in done.stderr
    )


def test_a_keyword_that_is_none_is_as_good_as_none(tmp_path: Path) -> None:
    backend = connect(f"sqlite:///{tmp_path}/a.db?migrate=false", migrate=None)
    assert isinstance(backend, SqliteBackend)
    assert backend._options == SqliteOptions(migrate=False)


def test_a_script_makes_the_schema_that_code_without_the_right_to_migrate_opens(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.executescript(migration_script(url))

    async def open_it() -> dict[State, int]:
        backend = connect(url, migrate=False)
        await backend.open()
        found = await backend.count_instances()
        await backend.close()
        return found

    assert asyncio.run(open_it()) == {}


def test_a_store_without_a_schema_has_no_script() -> None:
    with pytest.raises(ConfigurationError, match="no schema"):
        migration_script("memory://")
