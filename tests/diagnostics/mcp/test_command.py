"""`perdure mcp`, where it says no before it serves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perdure.cli.commands import perdure


def call(*arguments: str) -> Result:
    return CliRunner().invoke(perdure, ("mcp", *arguments), env={"PERDURE_STORE": None, "PERDURE_APP": None})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "no store was named"),
        (("--store", "sqlite:///nowhere.db"), "no file"),
        (("--store", "memory://x"), "lives and dies in one process"),
        (("--store", "sqlite:///nowhere.db", "--only", "cancel"), "--allow-actions"),
        (("--store", "sqlite:///nowhere.db", "--allow-actions", "--only", "explode"), "there are signal, cancel"),
        (("--store", "sqlite:///nowhere.db", "--app", "no.such:app"), "no module"),
    ],
)
def test_a_wrong_command_line_is_told_so(
    arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = call(*arguments)

    assert (result.exit_code, told in result.output) == (2, True), result.output


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "perdure.diagnostics.mcp.server", raising=False)
    monkeypatch.setitem(sys.modules, "mcp.server", None)

    result = call("--store", "sqlite:///nowhere.db")

    assert (result.exit_code, 'pip install "perdure[mcp]"' in result.output) == (2, True), result.output
