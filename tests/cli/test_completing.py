"""What shells complete."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("shell", "said"), [("bash", "complete -o nosort -F"), ("zsh", "compdef"), ("fish", "complete --no-files")]
)
def test_a_shell_gets_its_script(call: Call, shell: str, said: str) -> None:
    result = call("completion", shell)

    assert result.exit_code == 0
    assert said in result.stdout
    assert "_PERDURE_COMPLETE" in result.stdout


def completed(line: str, store: str) -> list[str]:
    """What bash would be given for the last word."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "_PERDURE_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "PERDURE_STORE": store,
    }
    done = subprocess.run([sys.executable, "-m", "perdure"], env=environment, capture_output=True, text=True, cwd=ROOT)
    return [each.partition(",")[2] for each in done.stdout.splitlines() if each]


def test_commands_and_options_are_completed(url: str) -> None:
    assert completed("perdure term", url) == ["terminate"]
    assert completed("perdure schedule tr", url) == ["trigger"]
    assert "--reason" in completed("perdure terminate --", url)


def test_ids_are_completed_from_the_store(call: Call, url: str) -> None:
    call("migrate")
    for name in ("order-1", "order-2", "other"):
        call("start", "echo", '"tea"', "--id", name)

    assert completed("perdure show order", url) == ["order-2", "order-1"]
    assert completed("perdure terminate order-1 ot", url) == ["other"]
    assert completed("perdure show order", "sqlite:///nowhere.db") == []
