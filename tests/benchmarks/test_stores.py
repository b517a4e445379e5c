"""What the suite knows of stores, on their servers: settings, a store for a run, and checks of what stands there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from benchmarks.case import REMOTE_STORES, Case, Measured
from benchmarks.registry import CASES, ON_EVERY_STORE
from benchmarks.stores import KINDS, Kind, kind_of
from benchmarks.stores.kind import NotAsDurable, check_promises
from benchmarks.verification import NotAsCounted
from benchmarks.workload import app
from perdure import Client, State, StoreUsageError
from tests.stores import as_parameters, marks_of, service_url


@pytest.fixture(params=as_parameters(REMOTE_STORES))
def kind(request: pytest.FixtureRequest) -> Kind:
    service_url(request.param)
    return KINDS[request.param]


@pytest.fixture(
    params=[
        pytest.param(name, marks=[*marks_of(name), *([] if name == "postgresql" else [pytest.mark.soak])])
        for name in REMOTE_STORES
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a store as a run gets it."""
    kind = KINDS[request.param]
    url = asyncio.run(kind.fresh(service_url(request.param), tmp_path, uuid4().hex[:12]))
    yield url
    asyncio.run(kind.drop(url))


async def test_a_server_is_as_durable_as_its_figures_claim(kind: Kind) -> None:
    settings = await kind.settings(kind.url() or "")

    check_promises(kind, settings)
    assert kind.promised


async def test_a_server_that_promises_less_is_refused(kind: Kind) -> None:
    name = next(iter(kind.promised))
    settings = await kind.settings(kind.url() or "") | {name: "off"}

    with pytest.raises(NotAsDurable, match=f"{name}=off"):
        check_promises(kind, settings)


def run(case: Case, store: str) -> Measured:
    return asyncio.run(case.run(store, **case.quick))


@pytest.mark.parametrize("name", ["one_activity", "tree", "full_store"])
def test_a_run_on_a_server_is_found_as_it_was_counted(name: str, store: str) -> None:
    case = CASES[name]
    measured = run(case, store)

    assert {measure.figure for measure in case.measures} <= set(measured.figures)
    assert asyncio.run(case.verify(store, **case.quick))["instances"] > 0


def test_a_workflow_more_than_there_is_isnt_found_on_a_server(store: str) -> None:
    case = msgspec.structs.replace(CASES["one_activity"], quick={"count": 3, "in_flight": 3})
    run(case, store)

    with pytest.raises(NotAsCounted):
        asyncio.run(case.verify(store, count=4, in_flight=3))


def test_nothing_is_left_of_a_store_that_was_dropped(store: str) -> None:
    async def left() -> dict[State, int]:
        try:
            async with Client(store, app) as client:
                return dict(await client.count())
        except StoreUsageError:  # the database itself is gone
            return {}

    run(CASES["one_activity"], store)
    before = asyncio.run(left())
    asyncio.run(kind_of(store).drop(store))

    assert before
    assert asyncio.run(left()) == {}


def test_what_runs_by_default_runs_on_every_server() -> None:
    assert all(set(REMOTE_STORES) <= set(CASES[name].stores) for name in ON_EVERY_STORE)
