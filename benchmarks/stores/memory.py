"""Nothing outside the process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Memory:
    """A store that ends with its process."""

    name = "memory"
    schemes = ("memory", "sqlite")
    is_remote = False
    promised: Mapping[str, Any] = {}

    def url(self) -> str:
        return "memory://bench"

    async def fresh(self, url: str, folder: Path, run: str) -> str:
        return url

    async def beside(self, url: str) -> str:
        return f"{url}-beside"

    async def settings(self, url: str) -> dict[str, Any]:
        return {}

    async def multiply(self, url: str, templates: Mapping[str, int]) -> None:
        raise NotImplementedError("nobody else can reach it")

    async def commands(self, url: str) -> None:
        """There is no server."""

    async def drop(self, url: str) -> None:
        """There is nothing left."""
