"""Slots: how much a worker does at once. Whatever is claimed or handed back has one before it comes."""

from __future__ import annotations

from collections.abc import Callable


class Slots:
    """A number of slots; those who take them free them. The `listeners` are called each time some came free."""

    __slots__ = ("_free", "listeners", "total")

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self.listeners: list[Callable[[], None]] = []

    @property
    def free_count(self) -> int:
        return self._free

    def take(self, wanted: int) -> int:
        """Take up to so many; how many it were."""
        taken = min(wanted, self._free)
        self._free -= taken
        return taken

    def put_back(self, count: int) -> None:
        """Give back what was taken and not used; nobody is told, for whoever took them knows."""
        self._free += count
        assert self._free <= self.total, "a slot was freed twice"

    def free(self, count: int = 1) -> None:
        """Give slots back."""
        if count == 0:
            return
        self.put_back(count)
        for listener in self.listeners:
            listener()
