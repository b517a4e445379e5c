"""What is written for people and programs alike."""

import json

import pytest

from perdure.cli.shown import escaped


@pytest.mark.parametrize("text", ["plain", "zwei\nZeilen", "\x7f\x9b31m", "\u202egnp.exe", "\U000e0001", "中文 😀"])
def test_json_stays_the_same_value_without_what_a_terminal_obeys(text: str) -> None:
    written = escaped(json.dumps({"id": text}, ensure_ascii=False, indent=1))

    assert json.loads(written) == {"id": text}
    assert all(each.isprintable() or each == "\n" for each in written)
