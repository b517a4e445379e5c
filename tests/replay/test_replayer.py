"""The gate before a deploy: every instance that today's code would leave stuck is named, and no other."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from pathlib import Path

import pytest

from perdure.app import App
from perdure.client.client import Client
from perdure.errors import ConfigurationError, DecodeError
from perdure.orchestrator import Orchestrator
from perdure.replay.replayer import Replayer
from perdure.serialization.codecs import Compression
from perdure.serialization.saved import SavedHistory
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from tests.engine.harness import Run, act
from tests.replay import programs
from tests.replay.filling import fill
from tests.replay.saving import saved_of


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store in which 200 orders wait: half before the second stage, half behind it; and a bystander for every ten."""
    url = f"sqlite:///{tmp_path_factory.mktemp('orders') / 'orders.db'}"
    asyncio.run(fill(url, 200))
    return url


@pytest.mark.parametrize("changed", programs.CHANGED, ids=lambda changed: changed.function.__name__)
async def test_every_instance_that_a_change_affects_is_named_and_no_other(
    orders: str, changed: Workflow[..., object]
) -> None:
    report = await Replayer(programs.app_with(changed)).replay_store(orders)

    assert report.replayed == 220
    assert sorted(report.instance_ids) == [f"far-{number:05}" for number in range(100)]
    assert len(report.causes) == 1, "one change, one cause"


async def test_they_are_named_on_every_server_too(server_store_url: str) -> None:
    await fill(server_store_url, 20)

    for changed in programs.CHANGED:
        report = await Replayer(programs.app_with(changed)).replay_store(server_store_url)

        assert report.replayed == 22
        assert sorted(report.instance_ids) == [f"far-{number:05}" for number in range(10)]


async def test_the_code_that_made_them_repeats_all(orders: str) -> None:
    report = await Replayer(programs.app_with(programs.original)).replay_store(orders)

    assert (report.replayed, report.is_clean) == (220, True)


async def test_a_store_is_only_read(orders: str) -> None:
    before = dump(orders)

    await Replayer(programs.app_with(programs.swapped)).replay_store(orders)

    assert dump(orders) == before


def dump(url: str) -> list[str]:
    database = sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True)
    try:
        return list(database.iterdump())
    finally:
        database.close()


async def test_filters_say_what_is_replayed(orders: str) -> None:
    replayer = Replayer(programs.app_with(programs.inserted))

    assert (await replayer.replay_store(orders, id_prefix="near")).replayed == 100
    assert (await replayer.replay_store(orders, workflow="bystander", states=["running"])).replayed == 20
    assert (await replayer.replay_store(orders, states=["failed"])).replayed == 0


async def test_it_runs_beside_workers_that_change_what_it_reads(tmp_path: Path) -> None:
    url, app = f"sqlite:///{tmp_path / 'busy.db'}", programs.app_with(programs.original)
    async with Orchestrator(url, app) as orchestrator:
        handles = [await orchestrator.start(programs.original, f"order {number}", 0) for number in range(40)]

        reports = [await Replayer(app).replay_store(url) for _ in range(5)]

        for handle in handles:
            await handle.signal(programs.go)
            await handle.result()
    assert all(report.is_clean and report.replayed == 40 for report in reports)


async def test_an_instance_that_has_not_begun_fits(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    async with Client(url) as client:
        await client.start(programs.original, "new", 0)

    report = await Replayer(programs.app_with(programs.swapped)).replay_store(url)

    assert (report.replayed, report.is_clean) == (1, True)


async def test_progress_is_told(orders: str) -> None:
    told: list[tuple[int, int]] = []

    await Replayer(programs.app_with(programs.original)).replay_store(
        orders, workflow="bystander", on_progress=lambda done, total: told.append((done, total))
    )

    assert told == [(number, 20) for number in range(1, 21)]


class TestOneDivergence:
    @pytest.fixture
    async def history(self, orders: str) -> SavedHistory:
        async with Client(orders) as client:
            return await client.export_history("far-00000")

    def test_it_says_what_history_has_what_the_code_did_where_and_the_last_common_step(
        self, history: SavedHistory
    ) -> None:
        found = Replayer(programs.app_with(programs.renamed)).replay(history)

        assert found is not None
        at = line_of(programs.renamed, "ship_under_another_name")
        assert str(found).splitlines() == [
            "far-00000 (order): diverges at event 5",
            '        4  activity 2 completed with "far-00000 is wrapped"',
            '  -     5  activity 3: ship["far-00000"]',
            '  +     5  activity 3: send["far-00000"]',
            f"           {programs.__file__}:{at}, in renamed",
            "               await ctx.execute_activity(ship_under_another_name, order)",
        ]

    def test_of_a_step_that_is_gone_it_says_where_the_code_waits_instead(self, history: SavedHistory) -> None:
        found = Replayer(programs.app_with(programs.deleted)).replay(history)

        assert found is not None
        assert found.line is not None
        assert (found.history, found.code) == ('activity 3: ship["far-00000"]', "nothing")
        assert found.is_waiting
        assert found.line.source == "await ctx.signal_channel(go).receive()"

    def test_a_long_input_is_compared_line_by_line_whatever_codecs_have_made_of_it(self, history: SavedHistory) -> None:
        """Else the difference would lie behind what is cut off."""
        was, is_now = {"items": [*range(300)]}, {"items": [*range(299), 7]}
        app = App(workflows=[with_input(was)], codecs=[Compression(threshold_bytes=64)])
        recorded = saved_of(Run(with_input(was), app=app))

        found = Replayer(App(workflows=[with_input(is_now)], codecs=[Compression(threshold_bytes=64)])).replay(recorded)

        assert found is not None
        assert [line.strip() for line in found.input_diff if line[0] in "+-"] == ["-        299", "+        7"]
        assert found.history.startswith("activity 1: send[[{")

    def test_an_unknown_workflow_would_wait_for_ever(self, history: SavedHistory) -> None:
        found = Replayer(App(workflows=[programs.bystander])).replay(history)

        assert found is not None
        assert found.kind == "unknown workflow"

    def test_arguments_that_no_longer_decode_are_named(self, history: SavedHistory) -> None:
        @workflow(name="order")
        async def order(ctx: Context, order: int, stages: int) -> None: ...

        found = Replayer(App(workflows=[order])).replay(history)

        assert found is not None
        assert found.kind == "error"
        assert "DecodeError" in found.code

    def test_code_that_raises_now_is_shown_with_its_error(self, history: SavedHistory) -> None:
        @workflow(name="order")
        async def order(ctx: Context, order: str, stages: int) -> None:
            await ctx.execute_activity(programs.pay, order)
            raise KeyError("parcel")

        found = Replayer(App(workflows=[order])).replay(history)

        assert found is not None
        assert found.line is not None
        assert "KeyError: 'parcel'" in found.code
        assert found.line.source == 'raise KeyError("parcel")'


def with_input(value: object) -> Workflow[..., object]:
    @workflow(name="sender")
    async def sender(ctx: Context) -> None:
        await act(ctx, "send", value)

    return sender


class TestFiles:
    @pytest.fixture
    async def folder(self, orders: str, tmp_path: Path) -> Path:
        """Two saved histories, one of them in a folder below."""
        (tmp_path / "old").mkdir()
        async with Client(orders) as client:
            for name, file in (("near-00001", "near.json"), ("far-00001", "old/far.json")):
                (tmp_path / file).write_bytes((await client.export_history(name)).to_json())
        return tmp_path

    def test_a_folder_is_replayed_with_what_is_below_it(self, folder: Path) -> None:
        report = Replayer(programs.app_with(programs.swapped)).replay_files(folder)

        assert (report.replayed, report.instance_ids) == (2, ["far-00001"])

    def test_files_may_be_named(self, folder: Path) -> None:
        report = Replayer(programs.app_with(programs.swapped)).replay_files(folder / "near.json", folder / "old")

        assert (report.replayed, report.instance_ids) == (2, ["far-00001"])

    def test_a_folder_without_histories_is_no_clean_replay(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"has no \*\.json"):
            Replayer(programs.app).replay_files(tmp_path)

    def test_a_file_that_is_no_history_is_named(self, folder: Path) -> None:
        (folder / "other.json").write_text('{"perdure": "history 99"}')

        with pytest.raises(DecodeError, match=r"other\.json: this isn't a saved history"):
            Replayer(programs.app).replay_files(folder)


def line_of(changed: Workflow[..., object], text: str) -> int:
    lines, first = inspect.getsourcelines(changed.function)
    return first + next(place for place, line in enumerate(lines) if text in line)
