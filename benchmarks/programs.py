"""Programs that are run to their end, within a limit, with whatever they have started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""Where modules are found from: `python -m` looks in the working directory."""


class ProgramFailed(Exception):
    """It ended with an error, or never; the last line that it wrote on stderr."""


def output_of(command: Sequence[str], *, limit_seconds: float) -> str:
    """What it prints. Raises ProgramFailed."""
    try:
        # A session of its own: what it leaves running (servers, workers) would hold the pipes open, and is ended with it.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
        )
    except OSError as problem:
        raise ProgramFailed(f"it can't be started: {problem}") from problem
    try:
        output, errors = process.communicate(timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"it took over {limit_seconds:g} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    if process.returncode:
        raise ProgramFailed((errors.strip().splitlines() or ["no message"])[-1])
    return output
