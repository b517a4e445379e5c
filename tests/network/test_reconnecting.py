"""When a connection is opened again, and what is said of it."""

from __future__ import annotations

import logging
import time

import pytest

from perdure.backends.network.reconnecting import Reconnecting
from perdure.errors import StoreUnavailable


class Line:
    """A connection that can be made only while the other end is there."""

    def __init__(self) -> None:
        self.is_there = True
        self.attempts = 0

    def open(self) -> None:
        self.attempts += 1
        if not self.is_there:
            raise ConnectionRefusedError

    def close(self) -> None:
        pass


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def connection(line: Line) -> Reconnecting:
    connection = Reconnecting(line, "the store")
    connection.open()
    return connection


def use_until(connection: Reconnecting, seconds: float) -> bool:
    """As busy users do, who say each time that it is lost; whether it was opened."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        try:
            connection.ensure()
        except (StoreUnavailable, OSError) as problem:
            connection.lost(problem)
        else:
            return True
    return False


def test_it_is_opened_again_however_often_it_is_said_to_be_lost(connection: Reconnecting, line: Line) -> None:
    line.is_there = False
    connection.lost(ConnectionResetError())
    assert not use_until(connection, 0.5)
    assert 2 <= line.attempts < 10

    line.is_there = True
    assert use_until(connection, 5.0)


def test_what_comes_and_goes_is_warned_of_once(
    connection: Reconnecting, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(5):
        connection.lost(ConnectionResetError())
        assert use_until(connection, 5.0)

    own = [each for each in caplog.records if each.message.startswith("the store ")]  # others' threads may live on
    assert [each.levelno for each in own] == [logging.WARNING] * 2 + [logging.INFO] * 8
