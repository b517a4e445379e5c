"""mypy and pyright know the types of right calls, and reject every wrong one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "typing" / "samples.py"
WRONG = ROOT / "tests" / "typing" / "wrong.py"

Problems = dict[int, str]
"""What a checker says, by line."""


def mypy(path: Path) -> Problems:
    command = [tool("mypy"), "--strict", "--follow-imports=silent", "--hide-error-context", str(path.relative_to(ROOT))]
    done = run(command)
    found = re.findall(rf"^{re.escape(str(path.relative_to(ROOT)))}:(\d+): error: (.*)$", done.stdout, re.MULTILINE)
    assert done.returncode == bool(found), done.stdout + done.stderr
    return {int(line): message for line, message in found}


def pyright(path: Path) -> Problems:
    done = run([tool("pyright"), "--outputjson", str(path)])
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1, done.stdout + done.stderr
    return {each["range"]["start"]["line"] + 1: each["message"] for each in report["generalDiagnostics"]}


def tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{name} isn't installed beside this Python")
    return found


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # pyright finds its node there
    settings = {"PATH": path, "PYRIGHT_PYTHON_USE_BUNDLED_PYRIGHT": "1", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **settings})


checkers = pytest.mark.parametrize("check", [mypy, pyright], ids=["mypy", "pyright"])


@checkers
def test_right_calls_are_right_and_their_results_are_known(check: Callable[[Path], Problems]) -> None:
    assert check(SAMPLES) == {}


@checkers
def test_each_wrong_call_is_an_error_and_no_other_line_is(check: Callable[[Path], Problems]) -> None:
    lines = WRONG.read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if "# error: " in line}

    problems = check(WRONG)

    assert {number: lines[number - 1].strip() for number in wrong - problems.keys()} == {}, "not noticed"
    assert {number: problems[number] for number in problems.keys() - wrong} == {}, "not expected"


def test_every_wrong_call_says_what_is_wrong_with_it() -> None:
    marked = [line for line in WRONG.read_text().splitlines() if "# error" in line]

    assert len(marked) > 70
    assert all(re.search(r"  # error: \w", line) for line in marked)


def test_the_samples_do_run_as_far_as_definitions_go() -> None:
    """What type checkers were shown is what users get: the definitions of the samples are accepted at run time too."""
    done = subprocess.run(
        [sys.executable, "-c", "import tests.typing.samples"], cwd=ROOT, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
