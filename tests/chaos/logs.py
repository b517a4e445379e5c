"""Whether what the workers said stays readable: no flood, and no traceback of what is everyday life."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?P<level>[A-Z]+) (?P<logger>\S+): (?P<said>.*)$")
_LOUD = {"WARNING", "ERROR", "CRITICAL"}


def log_problems(folder: Path, *, most_lines: int) -> Iterator[str]:
    """`most_lines` is how many warnings and errors one process may write."""
    for path, text in _logs(folder):
        loud = _loud(text)
        if len(loud) > most_lines:
            yield f"{path.name} has {len(loud)} warnings, where {most_lines} would do: {_most_common(loud)}"
        if "Traceback (most recent call last)" in text:
            yield f"{path.name} has a traceback:\n{text[text.index('Traceback') :][:3_000]}"


def most_warnings(folder: Path) -> int:
    """And errors, of one process."""
    return max((len(_loud(text)) for _, text in _logs(folder)), default=0)


def _logs(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.glob("*.log")):
        yield path, path.read_text(encoding="utf-8", errors="replace")


def _loud(text: str) -> list[str]:
    found = (_LINE.match(line) for line in text.splitlines())
    return [each["said"] for each in found if each is not None and each["level"] in _LOUD]


def _most_common(said: list[str]) -> str:
    shapes = Counter(re.sub(r"\d+", "#", line)[:100] for line in said)
    return "; ".join(f"{count} x {shape}" for shape, count in shapes.most_common(3))
