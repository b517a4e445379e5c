"""`replay`, `history export`, `diff`, `debug`: the gate before a deploy, and looking back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from perdure.client.client import Client
from tests.cli.conftest import Call
from tests.replay.filling import fill

SAME, RENAMED = "tests.replay.programs:app", "tests.replay.programs:deploys.renamed"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store in which ten orders wait, five of them behind the last step, and a bystander."""
    url = f"sqlite:///{tmp_path_factory.mktemp('orders') / 'orders.db'}"
    asyncio.run(fill(url, 10))
    return url


@pytest.fixture
def url(filled: str) -> str:
    return filled


class TestReplay:
    def test_code_that_fits_passes(self, call: Call) -> None:
        result = call("replay", SAME)

        assert (result.exit_code, result.stdout) == (0, "The code repeats all 11 histories.\n")
        assert "11 of 11 instances" in result.stderr

    def test_code_that_does_not_fit_fails_with_a_diff_and_names_every_instance(self, call: Call) -> None:
        result = call("replay", RENAMED)

        lines = [line.strip() for line in result.stdout.splitlines()]
        assert result.exit_code == 1
        assert lines[0] == "far-00004 (order): diverges at event 5"
        assert '-     5  activity 3: ship["far-00004"]' in lines
        assert '+     5  activity 3: send["far-00004"]' in lines
        assert "and so 4 more: far-00003 far-00002 far-00001 far-00000" in lines
        assert lines[-1] == "5 of 11 histories diverge, by one cause."

    def test_it_takes_the_filters_of_list(self, call: Call) -> None:
        result = call("replay", RENAMED, "--id-prefix", "near", "--state", "running")

        assert (result.exit_code, result.stdout) == (0, "The code repeats all 5 histories.\n")

    def test_nothing_to_replay_is_said(self, call: Call) -> None:
        result = call("replay", SAME, "--state", "failed")

        assert (result.exit_code, result.stdout) == (0, "No instance matches.\n")

    def test_it_writes_json(self, call: Call) -> None:
        result = call("replay", RENAMED, "--json")

        report = json.loads(result.stdout)
        assert result.exit_code == 1
        assert report["replayed"] == 11
        (cause,) = report["causes"]
        assert sorted(cause["instance_ids"]) == [f"far-0000{number}" for number in range(5)]
        assert cause["example"]["line"]["source"] == "await ctx.execute_activity(ship_under_another_name, order)"

    def test_saved_histories_are_replayed_without_a_store(self, call: Call, tmp_path: Path) -> None:
        for name in ("far-00001", "near-00001"):
            assert call("history", "export", name, "--output", str(tmp_path / f"{name}.json")).exit_code == 0

        result = call("replay", RENAMED, str(tmp_path), store=None)

        assert result.exit_code == 1
        assert "1 of 2 histories diverge" in result.stdout

    def test_the_app_may_come_from_its_option(self, call: Call, tmp_path: Path) -> None:
        saved = str(tmp_path / "far-00001.json")
        call("history", "export", "far-00001", "--output", saved)

        assert call("replay", "--app", SAME, saved, store=None).stdout == "The code repeats all 1 histories.\n"
        assert call("replay", RENAMED, "--app", SAME).exit_code == 1

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([SAME, "nowhere.json"], "there is no file or folder nowhere.json"),
            ([SAME, "nowhere.json", "--state", "running"], "filters are for a store"),
            (["tests.replay.programs"], "write module:attribute"),
            ([], "whose code? Name it"),
        ],
    )
    def test_what_is_wrong_is_not_taken_for_a_divergence(self, call: Call, arguments: list[str], said: str) -> None:
        result = call("replay", *arguments)

        assert result.exit_code == 2
        assert said in result.stderr


class TestExport:
    def test_it_writes_what_replay_reads(self, call: Call) -> None:
        result = call("history", "export", "far-00001")

        saved = json.loads(result.stdout)
        assert (saved["instance_id"], len(saved["events"])) == ("far-00001", 7)
        assert saved["events"][1]["arguments"] == {"json": ["far-00001"]}

    def test_an_unknown_instance_is_told(self, call: Call) -> None:
        result = call("history", "export", "nobody")

        assert result.exit_code == 1
        assert "'nobody'" in result.stderr


class TestDiff:
    def test_runs_that_took_the_same_steps(self, call: Call, tmp_path: Path) -> None:
        file = tmp_path / "far.json"
        call("history", "export", "far-00001", "-o", str(file))

        result = call("diff", "far-00001", str(file))

        assert (result.exit_code, result.stdout) == (0, "Both took the same 7 steps.\n")

    def test_runs_that_went_different_ways(self, call: Call) -> None:
        result = call("diff", "far-00001", "near-00001")

        assert result.exit_code == 1
        assert '-     3       activity 2: wrap["far-00001"]' in result.stdout.splitlines()
        assert [
            line["sign"] for line in json.loads(call("diff", "far-00001", "near-00001", "--json").stdout)["lines"]
        ] == [
            *"~~~",
            *"----",
        ]


class TestDebug:
    def test_it_opens_pdb_at_an_event(self, url: str) -> None:
        command = [sys.executable, "-m", "perdure", "debug", "far-00001", "--at", "4", "--app", SAME, "--store", url]

        result = subprocess.run(command, input="p order\nq\n", capture_output=True, text=True, cwd=ROOT)

        assert result.returncode == 0
        assert "-> await ctx.execute_activity(wrap, order)" in result.stdout
        assert "'far-00001'" in result.stdout

    def test_it_asks_for_the_code(self, call: Call) -> None:
        result = call("debug", "far-00001")

        assert result.exit_code == 2
        assert "whose code?" in result.stderr


class TestGoingBack:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        url = f"sqlite:///{tmp_path / 'orders.db'}"
        asyncio.run(fill(url, 6))
        return url

    def test_a_fork_begins_beside_the_instance(self, call: Call) -> None:
        forked = call("fork", "far-00001", "--at", "2", "--new-id", "far-again", "--app", SAME)

        assert (forked.exit_code, forked.stdout) == (0, "far-again\n")
        assert '"instance_id":"far-again"' in call("list", "--json", "--id-prefix", "far-again").stdout.replace(" ", "")

    def test_what_is_running_is_not_rewound(self, call: Call) -> None:
        result = call("rewind", "far-00001", "--app", SAME)

        assert result.exit_code == 1
        assert "still running: terminate it first, or fork it" in result.stderr

    def test_an_instance_that_has_ended_without_a_result_is_taken_back(self, call: Call, url: str) -> None:
        call("fork", "far-00002", "--at", "2", "--new-id", "to-be-ended", "--app", SAME)
        asyncio.run(_terminate(url, "to-be-ended"))

        result = call("rewind", "to-be-ended", "--app", SAME)

        assert (result.exit_code, result.stdout) == (0, "to-be-ended goes on from there.\n")
        assert '"state":"running"' in call("list", "--json", "--id-prefix", "to-be").stdout.replace(" ", "").lower()

    def test_without_the_code_it_says_what_is_missing(self, call: Call) -> None:
        result = call("fork", "far-00001", "--at", "2")

        assert result.exit_code == 2
        assert "--app module:app" in result.stderr


async def _terminate(url: str, instance_id: str) -> None:
    async with Client(url) as client:
        await client.terminate(instance_id)
