"""A virtual environment for each peer: `.venv-peers/NAME`, built from `requirements/NAME.txt`, built again when that changes.

What has no requirements runs where the suite runs.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".venv-peers"
REQUIREMENTS = Path(__file__).with_name("requirements")
PATIENCE_SECONDS = 600


def python_of(name: str, *, folder: Path = FOLDER) -> Path:
    """Its interpreter, built or not."""
    if not (REQUIREMENTS / f"{name}.txt").exists():
        return Path(sys.executable)
    binaries = "Scripts" if sys.platform == "win32" else "bin"
    return folder / name / binaries / "python"


def ensure(name: str, *, folder: Path = FOLDER, requirements: Path = REQUIREMENTS) -> str | None:
    """Have the environment ready; None, or the reason why it can't be had."""
    wanted = requirements / f"{name}.txt"
    if not wanted.exists():
        return None
    home = folder / name
    # Written last: an environment without it was left half built.
    stamp = home / "built-from.txt"
    built_from = f"# Python {platform.python_version()}\n{wanted.read_text()}"
    if stamp.exists() and stamp.read_text() == built_from:
        return None
    shutil.rmtree(home, ignore_errors=True)
    reason = _build(home, wanted)
    if reason is None:
        stamp.write_text(built_from)
    else:
        shutil.rmtree(home, ignore_errors=True)
    return reason


def _build(home: Path, wanted: Path) -> str | None:
    binaries = "Scripts" if sys.platform == "win32" else "bin"
    pip = [str(home / binaries / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", str(home)], [*pip, "--requirement", str(wanted)]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"its environment could not be built: {error}"
        if done.returncode:
            said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()] or ["no word why"]
            return f"its environment could not be built: {said[-1].strip()}"
    return None
