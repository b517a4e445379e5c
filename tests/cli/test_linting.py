from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from perdure.cli.commands import perdure
from perdure.lint.rules import RULES

CLEAN = (
    "from perdure import Context, workflow\n\n\n@workflow\nasync def f(ctx: Context) -> None:\n    await ctx.sleep(1)\n"
)
BAD = CLEAN.replace("await ctx.sleep(1)", "print(await ctx.sleep(1))\n    ctx.sleep(1)")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clean.py").write_text(CLEAN)
    (tmp_path / "bad.py").write_text(BAD)
    return tmp_path


def lint(*arguments: str) -> Result:
    return CliRunner().invoke(perdure, ["lint", *arguments])


@pytest.mark.usefixtures("folder")
class TestLint:
    def test_nothing_found_is_exit_code_0_and_silence(self) -> None:
        result = lint("clean.py")

        assert (result.exit_code, result.output) == (0, "")

    def test_something_found_is_exit_code_1_and_a_line_each(self) -> None:
        result = lint(".")

        assert result.exit_code == 1
        assert [line.split()[:2] for line in result.stdout.splitlines()] == [
            ["bad.py:6:5:", "PRD111"],
            ["bad.py:7:5:", "PRD501"],
        ]
        assert result.stderr == "2 found. `perdure lint --explain PRD111` says why.\n"

    @pytest.mark.parametrize(
        ("options", "codes"),
        [
            (["--select", "PRD5"], ["PRD501"]),
            (["--ignore", "PRD5"], ["PRD111"]),
            (["--ignore", "PRD", "--select", "PRD111"], ["PRD111"]),
            (["--ignore", "PRD111", "--ignore", "PRD501"], []),
        ],
    )
    def test_rules_are_chosen_by_the_beginnings_of_their_codes(self, options: list[str], codes: list[str]) -> None:
        result = lint("--format", "json", *options, "bad.py")

        assert [finding["code"] for finding in json.loads(result.stdout)] == codes
        assert result.exit_code == bool(codes)

    def test_sarif_goes_to_standard_output_alone(self) -> None:
        assert json.loads(lint("--format", "sarif", "bad.py").stdout)["version"] == "2.1.0"

    @pytest.mark.parametrize("arguments", [[], ["nowhere"], ["--select", "E501", "bad.py"], ["--explain", "PRD999"]])
    def test_a_wrong_command_line_is_exit_code_2(self, arguments: list[str]) -> None:
        assert lint(*arguments).exit_code == 2

    @pytest.mark.parametrize("code", RULES)
    def test_each_rule_is_explained(self, code: str) -> None:
        result = lint("--explain", code.lower())

        assert result.exit_code == 0
        assert all(text in result.stdout for text in (code, RULES[code].finds, RULES[code].why, RULES[code].instead))
