"""URLs and the backends that they become."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from perdure.backends.connect import connect
from perdure.backends.memory import MemoryBackend
from perdure.backends.redis import RedisBackend
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
    "url",
    ["redis://localhost/0", "rediss://user:secret@host:7000/2", "redis+cluster://host:7000", "rediss+cluster://host"],
)
def test_redis_urls(url: str) -> None:
    backend = connect(f"{url}?prefix=shop&ssl_ca_certs=ca.pem", timeout_seconds=5)
    assert isinstance(backend, RedisBackend)
    assert backend.prefix == "shop"
    assert backend.url == url.replace(":secret", "")


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("redis://localhost/0?prefix={a}", {}, "prefix is '{a}'; it must be a text without braces"),
        ("redis://localhost/0?socket_timeout=3", {}, "no option socket_timeout; there are prefix"),
        ("redis://localhost/0", {"timeout_seconds": 0}, "must be a number of seconds over 0"),
        ("oracle://host/db", {}, "no store has the scheme 'oracle'. There are memory, redis"),
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
        ("memory://name", {"migrate": False}, "no option migrate; it takes none"),
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
