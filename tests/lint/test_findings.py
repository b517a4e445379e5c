from __future__ import annotations

from pathlib import Path

import pytest

from perdure.lint.findings import Finding, is_excused
from perdure.lint.rules import RULES, is_chosen


def finding(code: str) -> Finding:
    return Finding(path=Path("flow.py"), line=1, column=1, end_line=1, code=code, message="", workflow="f")


@pytest.mark.parametrize(
    ("line", "excused"),
    [
        ("x()  # noqa", True),
        ("x()  # noqa: PRD101", True),
        ("x()  #noqa:prd101", True),
        ("x()  # NOQA: E501, PRD101", True),
        ("x()  # noqa: PRD1", True),
        ("x()  # noqa: PRD101 - why it may", True),
        ("x()  # why  # noqa: PRD101", True),
        ("x()  # noqa: PRD102", False),
        ("x()  # noqa: E501", False),
        ("x()  # nothing", False),
    ],
)
def test_a_comment_excuses_what_it_names(line: str, *, excused: bool) -> None:
    assert is_excused([line], finding("PRD101")) is excused


@pytest.mark.parametrize(
    ("select", "ignore", "chosen"),
    [
        (("PRD",), (), True),
        (("PRD1",), (), True),
        (("PRD2",), (), False),
        (("PRD",), ("PRD101",), False),
        (("PRD101",), ("PRD1",), True),
        (("PRD1",), ("PRD1",), False),
    ],
)
def test_the_longer_beginning_of_a_code_decides(
    select: tuple[str, ...], ignore: tuple[str, ...], *, chosen: bool
) -> None:
    assert is_chosen("PRD101", select, ignore) is chosen


def test_each_rule_says_what_why_and_what_instead() -> None:
    for rule in RULES.values():
        assert all((rule.name, rule.finds, rule.why, rule.instead))
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
