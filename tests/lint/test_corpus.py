"""The linter against samples: bad ones say in comments what is found and where, in good ones nothing is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perdure.lint.linter import lint
from perdure.lint.rules import RULES

CORPUS = Path(__file__).parent / "corpus"
EXPECTED = re.compile(r"# expect: ((?:PRD\d+ ?)+)")

BAD = sorted((CORPUS / "bad").iterdir())
GOOD = sorted((CORPUS / "good").iterdir())

Places = list[tuple[str, int, str]]


def found_in(sample: Path) -> Places:
    return sorted((finding.path.name, finding.line, finding.code) for finding in lint([sample]))


def expected_in(sample: Path) -> Places:
    return sorted(
        (path.name, number, code)
        for path in ([sample] if sample.is_file() else sample.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for expected in EXPECTED.finditer(line)
        for code in expected[1].split()
    )


@pytest.mark.parametrize("sample", BAD, ids=lambda path: path.stem)
def test_in_a_bad_sample_all_is_found_and_no_more(sample: Path) -> None:
    expected = expected_in(sample)

    assert expected
    assert found_in(sample) == expected


@pytest.mark.parametrize("sample", GOOD, ids=lambda path: path.stem)
def test_in_a_good_sample_nothing_is_found(sample: Path) -> None:
    assert found_in(sample) == expected_in(sample) == []


def test_the_corpus_has_a_bad_sample_for_each_rule() -> None:
    covered = {code for sample in BAD for _, _, code in expected_in(sample)}

    assert covered == set(RULES) - {"PRD001"}


def test_the_corpus_is_large() -> None:
    assert len(BAD) + len(GOOD) >= 60
