from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a project's files, `write(flow="…", helpers="…")`, in the current folder; gives the folder."""
    monkeypatch.chdir(tmp_path)

    def write_files(pyproject: str = "[project]\n", **modules: str) -> Path:
        (tmp_path / "pyproject.toml").write_text(pyproject)
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
        return tmp_path

    return write_files
