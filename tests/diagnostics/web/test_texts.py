"""How values are written."""

from __future__ import annotations

import pytest

from perdure.diagnostics.web.texts import duration, size, visible


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"), (0.000012, "12 µs"), (0.0427, "42.7 ms"), (0.5, "500 ms"), (1.26, "1.3 s"), (9.99, "10 s"), (59.4, "59 s"),
        (60, "1 min"), (192, "3 min 12 s"), (3600, "1 h"), (7500, "2 h 5 min"), (367_200, "4 d 6 h"), (-5, "−5 s"),
    ],
)  # fmt: skip
def test_a_length_of_time_is_written_in_its_largest_units(seconds: float, written: str) -> None:
    assert duration(seconds) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, "0 B"), (999, "999 B"), (1400, "1.4 KB"), (3_200_000, "3.2 MB"), (5_000_000_000_000, "5000 GB")],
)
def test_a_size_is_written_in_its_unit(count: int, written: str) -> None:
    assert size(count) == written


def test_what_is_invisible_or_turns_text_about_is_written_out() -> None:
    assert visible("a\u202eb\x00\x1b[2J\ud800") == "a\\u202eb\\x00\\x1b[2J\\ud800"


def test_lines_and_emoji_stay() -> None:
    assert visible("one\n\ttwo 👩\u200d🚀 é") == "one\n\ttwo 👩\u200d🚀 é"
