"""What `perdure.diagnostics` gives, and what it says where the extra isn't installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import perdure.diagnostics

WITHOUT_THE_EXTRA = """
import sys

sys.modules["jinja2"] = sys.modules["starlette"] = None  # as if they weren't there
import perdure.diagnostics
from perdure.diagnostics import Target
from perdure.diagnostics.views import history, instances, queues, run, schedules, timeline, tree, where

try:
    perdure.diagnostics.create_app
except ModuleNotFoundError as problem:
    print(problem)
"""


@pytest.mark.parametrize("name", perdure.diagnostics.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(perdure.diagnostics, name) is not None
    assert name in dir(perdure.diagnostics)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        perdure.diagnostics.nonsense  # noqa: B018


def test_without_the_extra_it_says_what_to_install_and_reads_all_the_same() -> None:
    program = [sys.executable, "-c", WITHOUT_THE_EXTRA]
    done = subprocess.run(program, capture_output=True, text=True, check=True)

    assert done.stdout.strip().endswith("which isn't installed: pip install perdure[ui]")
    assert done.stdout.startswith("perdure.diagnostics.create_app needs the package ")
