from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest

from benchmarks.programs import ProgramFailed, output_of

HANGS_WITH_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(600)
"""


def test_what_a_program_prints() -> None:
    assert output_of([sys.executable, "-c", "print('figures')"], limit_seconds=30) == "figures\n"


def test_an_error_is_told_by_its_last_line() -> None:
    with pytest.raises(ProgramFailed, match="ValueError: too slow"):
        output_of([sys.executable, "-c", "raise ValueError('too slow')"], limit_seconds=30)


def test_a_program_that_isnt_there() -> None:
    with pytest.raises(ProgramFailed, match="can't be started"):
        output_of(["/no/such/program"], limit_seconds=30)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
def test_one_that_hangs_is_ended_with_what_it_has_started(tmp_path: Path) -> None:
    note = tmp_path / "child"

    with pytest.raises(ProgramFailed, match="over 1 s"):
        output_of([sys.executable, "-c", HANGS_WITH_A_CHILD, str(note)], limit_seconds=1)

    assert ends(int(note.read_text()))


def ends(process_id: int) -> bool:
    """Whether it is gone, or so within ten seconds: a signal is delivered when the kernel likes."""
    try:
        watch = os.pidfd_open(process_id)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watch], [], [], 10)[0])
    finally:
        os.close(watch)
