"""The command line, in processes as users start it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.registry import CASES

ROOT = Path(__file__).parents[2]


def test_a_quick_run_prints_a_table_and_writes_json_and_a_plot(tmp_path: Path) -> None:
    json_file, svg_file = tmp_path / "runs.json", tmp_path / "plot.svg"
    command = [
        sys.executable, "-m", "benchmarks", "one_activity", "--quick", "--no-peers", "--rounds", "2", "--stores", "sqlite,memory",
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
    arguments = ["one_activity", "--quick", "--no-peers", "--rounds", "1", "--store", "sqlite:////no/such/folder/x.db"]

    done = CliRunner().invoke(main, [*arguments, "--folder", str(tmp_path)])

    assert done.exit_code == 1
    assert "FAILED" in done.output


def test_the_list_has_every_case() -> None:
    done = CliRunner().invoke(main, ["--list"])

    assert [line.split()[0] for line in done.output.splitlines()] == list(CASES)


def test_a_case_that_isnt_there_is_named() -> None:
    done = CliRunner().invoke(main, ["one_activty"])

    assert done.exit_code == 2
    assert "one_activty" in done.output
