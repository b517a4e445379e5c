"""What the census passes around. All of it is stored as JSON and comes back as these classes."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field


@dataclass(frozen=True)
class Counts:
    """What one file holds, or many."""

    files: int = 0
    lines: int = 0
    functions: int = 0
    classes: int = 0
    imports: int = 0
    retries: int = 0
    """Attempts that failed before the one that counted."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Package:
    """A top-level folder and its files, as paths from the root of the tree."""

    name: str
    files: list[str]


@dataclass(frozen=True)
class PackageCensus:
    name: str
    counts: Counts
    unreadable: list[str]
    """One line for each file that doesn't parse, or can't be read: which, and why."""


@dataclass(frozen=True)
class Census:
    folder: str
    packages: list[PackageCensus]

    @property
    def total(self) -> Counts:
        return sum((package.counts for package in self.packages), Counts())

    @property
    def unreadable(self) -> list[str]:
        return [line for package in self.packages for line in package.unreadable]


@dataclass
class Progress:
    """What the census publishes for whoever looks on."""

    files: int
    done: int = 0
    """Files of the packages that are done; those under way publish their own."""
    running: dict[str, str] = field(default_factory=dict)
    """Packages under way: name to instance id."""
    is_paused: bool = False
