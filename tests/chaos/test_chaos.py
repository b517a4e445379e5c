"""Workers are killed with -9 every second, the store goes away twice, and nothing is lost, doubled, or held twice; see `audit`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from scripts.servers import Services, redis
from tests import stores
from tests.chaos.fleet import LockedFile, Server
from tests.chaos.run import Plan, run

SHORT = Plan(
    instances=300,
    workers=3,
    seconds=9.0,
    server_restart_at=2.5,
    server_kill_at=5.5,
    server_away_seconds=1.5,
)
LONG = Plan(instances=2_000, workers=4, seconds=60.0, server_restart_at=15.0, server_kill_at=35.0)


class PrivateServer:
    """One that nobody else works with."""

    def __init__(self, services: Services, name: str) -> None:
        self._services = services
        self._name = name

    def restart(self) -> None:
        self._services.restart(self._name)

    def kill(self) -> None:
        self._services.kill(self._name)

    def start(self) -> None:
        self._services.start(self._name)


class Place(msgspec.Struct, frozen=True):
    url: str
    server: Server


@contextmanager
def place_of(name: str, folder: Path) -> Iterator[Place]:
    if name == "sqlite":
        path = folder / "chaos.db"
        yield Place(f"sqlite:///{path}?lock_timeout_seconds=0.5", LockedFile(path))
        return
    stores.service_url(name)  # without one there is none to be had here
    services = Services.in_new_folder()
    try:
        yield Place(services.start(name), PrivateServer(services, name))
    finally:
        services.stop([name])


@pytest.fixture(params=stores.as_parameters(stores.SHARED))
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv(redis.FSYNC, "always")  # it is killed where its settings promise durability
    with place_of(request.param, tmp_path) as place:
        yield place


async def test_killed_workers_leave_nothing_undone_and_do_nothing_twice(place: Place, tmp_path: Path) -> None:
    report = await run(place.url, tmp_path, SHORT, place.server)

    assert not report.problems, str(report)


@pytest.mark.soak
async def test_so_it_is_for_a_minute_and_two_thousand_instances(place: Place, tmp_path: Path) -> None:
    report = await run(place.url, tmp_path, LONG, place.server)

    assert not report.problems, str(report)
