"""`perdure/__init__.py` says each public name three times: to type checkers, to `import *`, and to the import at first use."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import perdure
from perdure import errors

SOURCE = ast.parse(Path(perdure.__file__).read_text())


def shown_to_type_checkers() -> dict[str, str]:
    [block] = [node for node in SOURCE.body if isinstance(node, ast.If)]
    return {
        alias.name: str(node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def test_type_checkers_see_what_is_loaded() -> None:
    assert shown_to_type_checkers() == perdure._HOMES


def test_all_lists_what_is_loaded() -> None:
    assert sorted(perdure.__all__) == sorted(perdure._HOMES)


def test_every_error_is_public() -> None:
    names = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}

    assert names <= set(perdure.__all__)


def test_a_name_that_isnt_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        perdure.nothing  # noqa: B018


def test_dir_shows_the_names_before_they_are_loaded() -> None:
    program = "import perdure; print(*dir(perdure))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert set(perdure.__all__) <= set(shown)


def test_import_perdure_takes_no_time() -> None:
    program = "import time; begin = time.process_time(); import perdure; print(time.process_time() - begin)"
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(3)
    ]

    assert min(float(run.stdout) for run in runs) < 0.15
