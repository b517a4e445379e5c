"""The table of rules in docs/linting.md; `python -m tests.lint.table` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from perdure.lint.rules import RULES

PAGE = Path(__file__).parents[2] / "docs" / "linting.md"
TABLE = re.compile(r"(?<=<!-- rules -->\n).*(?=<!-- end of rules -->)", re.DOTALL)


def table() -> str:
    rows = [f"| {rule.code} | {rule.finds} | {rule.why} | {rule.instead} |\n" for rule in RULES.values()]
    return "".join(["| | finds | because | instead |\n", "|---|---|---|---|\n", *rows])


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text()))
