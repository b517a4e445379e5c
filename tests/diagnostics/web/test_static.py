"""What is shipped beside the pages."""

from __future__ import annotations

import hashlib
import itertools
import re

import pytest

from perdure.diagnostics.web.rendering import STATIC


def test_the_library_is_the_one_that_the_notes_name() -> None:
    notes = (STATIC / "NOTES.md").read_text()
    [(checksum, name)] = re.findall(r"sha256  ([0-9a-f]{64})  (\S+)", notes)

    assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == checksum
    assert (STATIC / "idiomorph.LICENSE.txt").read_text().startswith("Zero-Clause BSD")


def test_our_own_files_load_nothing_from_elsewhere() -> None:
    for name in ("perdure.css", "perdure.js"):
        assert not re.search(r"https?://|@import|url\(", (STATIC / name).read_text())


SHEET = (STATIC / "perdure.css").read_text()
COLOURS = {
    name: (light, dark) for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", SHEET)
}
INKS = ("ink", "soft", "accent", "blue", "green", "red", "amber", "violet", "grey")
GROUNDS = ("paper", "card", "sunk")


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        *itertools.product(INKS, GROUNDS),
        ("accent-ink", "accent"),
        ("card", "red"),
        ("ink", "accent-sunk"),
        ("soft", "accent-sunk"),
        ("accent", "accent-sunk"),
        *(("ink", f"{colour}-sunk") for colour in ("red", "amber", "green")),
        ("amber", "amber-sunk"),
        ("soft", "amber-sunk"),
    ],
)
def test_text_can_be_read(ink: str, ground: str, theme: int) -> None:
    """WCAG's AA."""
    one, other = sorted((luminance(COLOURS[ink][theme]), luminance(COLOURS[ground][theme])))

    assert (other + 0.05) / (one + 0.05) >= 4.5


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
