"""docs/linting.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from perdure.lint.formats import as_text
from perdure.lint.linter import lint
from tests.docs.test_code_blocks import blocks_of
from tests.lint.conftest import Write
from tests.lint.table import PAGE, TABLE, table


def test_the_table_has_all_rules_as_they_are() -> None:
    """`python -m tests.lint.table` writes it anew."""
    [found] = TABLE.findall(PAGE.read_text())

    assert found == table()


def test_the_sample_gives_the_output_that_is_shown(write: Write) -> None:
    [sample] = blocks_of(PAGE)
    [shown] = re.findall(r"```text\n(.*?)\n```", PAGE.read_text(), re.DOTALL)
    folder = write()
    (folder / "flow.py").write_text(sample.code)

    assert shown == as_text(lint([Path("flow.py")]))
