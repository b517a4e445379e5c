"""The plugin, in flake8 itself; and the hook for pre-commit."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.lint.conftest import Write
from tests.lint.test_linter import FLOW, HELPERS

ROOT = Path(__file__).parents[2]


def flake8(folder: Path, *names: str) -> list[str]:
    """What flake8 says of these files; it finds the plugin where the package is installed."""
    (folder / "flake8.ini").write_text("[flake8]\nselect = PRD\n")
    command = [sys.executable, "-m", "flake8", "--config", "flake8.ini", "--jobs=1", *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_what_is_in_the_file_is_told_where_it_is(write: Write) -> None:
    folder = write(flow="import time\nimport perdure\n\n\nasync def f(ctx: perdure.Context):\n    time.sleep(1)\n")

    [line] = flake8(folder, "flow.py")

    assert line.startswith("flow.py:6:5: PRD110 time.sleep(): use `await ctx.sleep(…)`")


def test_what_is_in_a_helper_is_told_at_the_call(write: Write) -> None:
    folder = write(flow=FLOW, helpers=HELPERS)

    [line] = flake8(folder, "flow.py", "helpers.py")

    assert line.startswith("flow.py:7:12: PRD101 helpers.py:5: time.time(): use `ctx.now()`")


def test_flake8s_own_excuses_count(write: Write) -> None:
    folder = write(flow=FLOW.replace("stamp()\n", "stamp()  # noqa: PRD101\n"), helpers=HELPERS)

    assert flake8(folder, "flow.py") == []


def test_the_hook_of_pre_commit_runs_a_command_that_is_there(write: Write) -> None:
    folder = write(flow=FLOW, helpers=HELPERS)
    hook = dict(re.findall(r"^[- ] (\w+): (.+)$", (ROOT / ".pre-commit-hooks.yaml").read_text(), re.MULTILINE))
    program, *arguments = hook["entry"].split()

    done = subprocess.run(
        [sys.executable, "-m", program, *arguments, "flow.py"], cwd=folder, capture_output=True, text=True
    )

    assert (hook["id"], hook["language"], hook["types"]) == ("perdure-lint", "python", "[python]")
    assert (done.returncode, done.stdout.partition(" ")[0]) == (1, "helpers.py:5:12:")
