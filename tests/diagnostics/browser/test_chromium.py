"""scripts/chromium.py: a browser that is found, or a word that there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.many_workers.processes import ROOT


def call(**changes: str) -> subprocess.CompletedProcess[str]:
    """On a machine without any program, apt-get included."""
    unset = {"CI", "PERDURE_TEST_CHROMIUM"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    command = [sys.executable, "-c", _WITHOUT_PROGRAMS]
    return subprocess.run(
        command, cwd=ROOT, env=environment | {"PATH": "/nonexistent"} | changes, capture_output=True, text=True
    )


_WITHOUT_PROGRAMS = """
import sys
from scripts.servers import programs
programs.PLACES = "/nonexistent"
from scripts.chromium import main
sys.exit(main())
"""


def test_without_one_it_says_why_and_lets_the_tests_go_on() -> None:
    done = call()

    assert done.returncode == 0
    assert done.stderr.startswith("skipped: no Chromium: there is no apt-get")


def test_in_ci_that_is_a_failure() -> None:
    done = call(CI="1")

    assert done.returncode == 1
    assert done.stderr.startswith("failed: no Chromium: ")


def test_another_one_can_be_named(tmp_path: Path) -> None:
    assert call(PERDURE_TEST_CHROMIUM=str(tmp_path / "chrome")).stdout == f"{tmp_path / 'chrome'}\n"


@pytest.mark.usefixtures("browser")
def test_the_one_that_is_found_works(chromium: Path) -> None:
    assert chromium.exists()
