"""What happened, in order: kept as it is, and written out when somebody wants to read it."""

from __future__ import annotations

from hashlib import blake2b

from perdure.testing.simulation.loop import VirtualLoop


class Violation(Exception):
    """Something that must always hold didn't."""


class Trace:
    """Lines of who did what when."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._entries: list[tuple[float, str, str, tuple[object, ...]]] = []
        self.violations: list[str] = []

    def __len__(self) -> int:
        return len(self._entries)

    def note(self, who: str, what: str, *details: object) -> None:
        """Something happened now. The details are written out later: they must not change."""
        self._entries.append((self._loop.time(), who, what, details))

    def violated(self, what: str) -> None:
        """Something that must hold doesn't; the run goes on, for what follows may explain it."""
        self.violations.append(what)
        self.note("!!!", what)

    def lines(self, last: int | None = None) -> list[str]:
        entries = self._entries if last is None else self._entries[-last:]
        return [
            f"{at:10.4f} {who:<8} {what}{' ' if details else ''}{' '.join(map(str, details))}"
            for at, who, what, details in entries
        ]

    def until_first_violation(self, last: int) -> list[str]:
        """The lines that lead to the first violation, or to the end."""
        end = next((place for place, entry in enumerate(self._entries) if entry[1] == "!!!"), len(self._entries))
        lines = self.lines()[: end + 1]
        return lines[-last:]

    def digest(self) -> str:
        """Two runs with the same one went the same way."""
        state = blake2b(digest_size=16)
        for line in self.lines():
            state.update(line.encode())
        return state.hexdigest()
