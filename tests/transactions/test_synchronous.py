"""`SyncClient.using`: connections of code without an event loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from perdure import InstanceNotFound, State, StoreUsageError, SyncClient
from tests.transactions.shop import app, approval, checkout, hello


def by_sqlite3(url: str) -> Any:
    return sqlite3.connect(url.removeprefix("sqlite:///"), check_same_thread=False)


def by_psycopg(url: str) -> Any:
    return psycopg.connect(url.partition("?")[0])


def by_session(url: str) -> Any:
    driver = "sqlite+pysqlite" if url.startswith("sqlite") else "postgresql+psycopg"
    return Session(
        sqlalchemy.create_engine(f"{driver}:{url.partition('?')[0].partition(':')[2]}", poolclass=sqlalchemy.NullPool)
    )


@pytest.fixture(
    params=[
        pytest.param(("sqlite", by_sqlite3), id="sqlite3"),
        pytest.param(("sqlite", by_session), id="sqlalchemy-sqlite"),
        pytest.param(("postgresql", by_psycopg), id="psycopg", marks=pytest.mark.server),
        pytest.param(("postgresql", by_session), id="sqlalchemy-psycopg", marks=pytest.mark.server),
    ]
)
def client_and_connection(
    request: pytest.FixtureRequest, empty_store: Callable[[str], str]
) -> Iterator[tuple[SyncClient, Any]]:
    kind, connect = request.param
    url = empty_store(kind)
    with SyncClient(url, app) as client:
        connection = connect(url)
        yield client, connection
        connection.close()


def begin(connection: Any) -> None:
    statement = "select 1" if isinstance(connection, psycopg.Connection) else "begin"
    if not isinstance(connection, Session):
        connection.execute(statement)


def test_b10_a_start_and_a_signal_are_there_with_the_commit_and_not_before(
    client_and_connection: tuple[SyncClient, Any],
) -> None:
    client, connection = client_and_connection
    begin(connection)
    handle = client.using(connection).start(checkout.with_options(instance_id="order-7"), 1)
    with pytest.raises(InstanceNotFound):
        handle.state()
    client.using(connection).signal("order-7", approval, "me")
    connection.commit()

    assert handle.state() is State.RUNNING


def test_b10_after_a_roll_back_there_is_nothing(client_and_connection: tuple[SyncClient, Any]) -> None:
    client, connection = client_and_connection
    begin(connection)
    client.using(connection).start(hello, "you")
    connection.rollback()

    assert client.count() == {}


def test_what_it_cant_use_is_refused_at_once(tmp_path: Path) -> None:
    with (
        SyncClient(f"sqlite:///{tmp_path / 'a.db'}") as client,
        pytest.raises(StoreUsageError, match=r"builtins\.object"),
    ):
        client.using(object())
    with SyncClient("memory://") as client, pytest.raises(StoreUsageError, match="MemoryBackend"):
        client.using(object())
