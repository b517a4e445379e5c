"""Replay in new processes: what comes after a crash has another order of sets, and nothing of what was in memory.

As a program it reads what to replay from its standard input, and writes the problems to its standard output.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout

import msgspec

from perdure.app import App
from perdure.serialization.saved import SavedHistory
from perdure.testing.crash.backwards import BackwardsLoader, go_backwards
from perdure.testing.crash.replaying import problem_of_replay

_LONGEST_SECONDS = 60


class Place(msgspec.Struct, frozen=True):
    """Where a new process finds the App."""

    module: str
    file: str
    name: str


class _Asked(msgspec.Struct, frozen=True):
    place: Place
    histories: Sequence[str]
    goes_backwards: bool
    """Through sets."""


class Elsewhere:
    """Processes that replay meanwhile, in pairs with the same hash seed. An App that isn't found in a module as one of its names
    can't be had there.
    """

    def __init__(self, app: App, histories: Sequence[SavedHistory], *, count: int, seed: int) -> None:
        place = place_of(app)
        if place is None:
            self._processes = []
            return
        texts = [history.to_json().decode() for history in histories]
        self._processes = [
            _begun(_Asked(place, texts, goes_backwards=bool(number % 2)), hash_seed=1 + seed * count + number // 2)
            for number in range(count)
        ]

    def problems(self) -> list[str]:
        """Each once, when all have ended."""
        found: dict[str, None] = {}
        for process in self._processes:
            try:
                said, complaint = process.communicate(timeout=_LONGEST_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                said, complaint = process.communicate()
            if process.returncode:
                why = complaint.decode(errors="replace").strip()
                problems = [f"the App can't be had there (processes=0 leaves this out):\n{why}"]
            else:
                problems = msgspec.json.decode(said, type=list[str])
            found.update(dict.fromkeys(problems))
        return list(found)


def place_of(app: App) -> Place | None:
    """The first module that has the App under a name; one with a workflow of it, if there is one."""
    homes = {workflow.function.__module__ for workflow in app.workflows.values()}
    found: list[Place] = []
    for module_name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)  # whatever it is: some put other things among the modules
        if not isinstance(file, str) or (module_name == "__main__" and not _is_script(module, file)):
            continue
        names = [name for name, value in list(vars(module).items()) if value is app]
        found += [Place(module_name, file, names[0])] if names else []
    return min(found, key=lambda place: place.module not in homes, default=None)


def _is_script(main: object, file: str) -> bool:
    """Whether the main module can be loaded again: not what `python -c` or a notebook runs."""
    return getattr(main, "__spec__", None) is not None or sys.argv[0] == file


def _begun(asked: _Asked, *, hash_seed: int) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(folder for folder in sys.path if folder)
    with tempfile.TemporaryFile() as given:
        given.write(msgspec.json.encode(asked))
        given.seek(0)
        return subprocess.Popen(  # noqa: S603 - this interpreter, with this module
            [sys.executable, "-m", __name__],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed % 2**32), "PYTHONPATH": path},
        )


def _load(place: Place, *, goes_backwards: bool) -> App:
    if goes_backwards:
        go_backwards(place.module.partition(".")[0])
    try:
        module = importlib.import_module(place.module) if place.module != "__main__" else None
    except ImportError:
        module = None
    if getattr(module, "__file__", None) != place.file:
        loader = BackwardsLoader("perdure_under_test", place.file) if goes_backwards else None
        spec = importlib.util.spec_from_file_location("perdure_under_test", place.file, loader=loader)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    app: App = getattr(module, place.name)
    return app


def main() -> None:
    """Of the new process."""
    with redirect_stdout(sys.stderr):
        asked = msgspec.json.decode(sys.stdin.buffer.read(), type=_Asked)
        app = _load(asked.place, goes_backwards=asked.goes_backwards)
        found = [problem_of_replay(app, SavedHistory.from_json(text.encode())) for text in asked.histories]
    sys.stdout.buffer.write(msgspec.json.encode([problem for problem in found if problem is not None]))


if __name__ == "__main__":
    main()
