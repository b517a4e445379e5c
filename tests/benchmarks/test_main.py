"""The command line, in processes as users start it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.registry import CASES
from tests.stores import service_url

ROOT = Path(__file__).parents[2]


def test_a_quick_run_prints_a_table_and_writes_json_and_a_plot(tmp_path: Path) -> None:
    json_file, svg_file = tmp_path / "runs.json", tmp_path / "plot.svg"
    command = [
        sys.executable, "-m", "benchmarks", "--cases", "one_activity", "--quick", "--peers", "none", "--rounds", "2", "--stores", "sqlite,memory",
        "--json", str(json_file), "--svg", str(svg_file), "--folder", str(tmp_path),
    ]  # fmt: skip

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert "checked by a fresh process instances=120" in done.stdout
    runs = json.loads(json_file.read_text())["runs"]
    assert [(run["contestant"], run["round"]) for run in runs] == [
        ("perdure, sqlite", 1), ("perdure, memory", 1), ("perdure, sqlite", 2), ("perdure, memory", 2),
    ]  # fmt: skip
    assert all({"rate", "cpu_us_per_unit", "peak_rss_mb"} <= set(run["figures"]) for run in runs)
    assert {"python", "sqlite", "processor", "disk"} <= set(json.loads(json_file.read_text())["machine"])
    ET.fromstring(svg_file.read_text())


def test_a_store_that_cant_be_used_is_a_failure(tmp_path: Path) -> None:
    arguments = ["--cases", "one_activity", "--quick", "--peers", "none", "--rounds", "1"]

    done = CliRunner().invoke(
        main, [*arguments, "--store", "sqlite:////no/such/folder/x.db", "--folder", str(tmp_path)]
    )

    assert done.exit_code == 1
    assert "FAILED" in done.output


def test_the_list_has_every_case() -> None:
    done = CliRunner().invoke(main, ["--list"])

    assert [line.split()[0] for line in done.output.splitlines()] == list(CASES)


@pytest.mark.parametrize("option", ["--cases", "--stores", "--peers"])
def test_what_isnt_there_is_named(option: str) -> None:
    done = CliRunner().invoke(main, [option, "sqllite"])

    assert done.exit_code == 2
    assert "sqllite" in done.output


def test_only_peers_beside_a_store_that_runs_take_part(tmp_path: Path) -> None:
    arguments = [
        "--cases",
        "one_activity",
        "--stores",
        "memory",
        "--peers",
        "floor,floor_memory",
        "--quick",
        "--rounds",
        "1",
    ]

    done = CliRunner().invoke(main, [*arguments, "--folder", str(tmp_path)])

    assert re.findall(r"^round 1 +one_activity +(.+?)  ", done.output, re.MULTILINE) == [
        "perdure, memory",
        "floor_memory",
    ]


@pytest.mark.server
def test_a_run_writes_its_figures_into_a_page(tmp_path: Path) -> None:
    service_url("postgresql")
    page = tmp_path / "page.md"
    shutil.copy(ROOT / "docs" / "benchmarks.md", page)
    arguments = [
        "--cases",
        "one_activity",
        "--stores",
        "postgresql",
        "--peers",
        "floor_postgresql",
        "--quick",
        "--rounds",
        "1",
    ]

    done = CliRunner().invoke(main, [*arguments, "--folder", str(tmp_path), "--write", str(page)])

    assert done.exit_code == 0, done.output
    assert re.search(
        r"^\| workflows of one activity, one process, 200 in flight \| [\d,]+ \|$", page.read_text(), re.MULTILINE
    )
    assert "`synchronous_commit=on`" in page.read_text()
