"""Many histories against today's code: of files, or of a store that is at work."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from os import PathLike
from pathlib import Path
from typing import Unpack

import msgspec

from perdure.app import App
from perdure.backends.connect import connect
from perdure.backends.protocol import Backend, Inspection
from perdure.client.filters import Filters, instance_filter
from perdure.client.listing import read_instances, read_saved
from perdure.errors import ConfigurationError, DecodeError, InstanceNotFound
from perdure.model.inspection import InstanceFilter
from perdure.model.instance import Instance
from perdure.replay.comparing import compare
from perdure.replay.divergence import Divergence
from perdure.serialization.saved import SavedHistory

OnProgress = Callable[[int, int], object]
"""Called with how many histories were replayed, and how many there are."""

_READ_AHEAD = 16
"""Histories in memory."""


class DivergenceCause(msgspec.Struct, frozen=True, kw_only=True):
    """Instances that part from the code at the same line for the same reason."""

    example: Divergence
    """Of the first one."""
    instance_ids: list[str]


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay of many histories found."""

    replayed: int
    causes: tuple[DivergenceCause, ...]

    @property
    def is_clean(self) -> bool:
        """Whether the code repeats every history."""
        return not self.causes

    @property
    def instance_ids(self) -> list[str]:
        """Every instance that would be stuck."""
        return [each for cause in self.causes for each in cause.instance_ids]


class Replayer:
    """Replays histories with the code of an App, and tells which of them it doesn't repeat.

    Activities aren't executed, nothing is written, to no store. Workflow code runs, in line.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    def replay(self, history: SavedHistory) -> Divergence | None:
        """Where code and history part; None if the code repeats it."""
        return compare(history, self._app)

    def replay_files(self, *paths: str | PathLike[str], on_progress: OnProgress | None = None) -> ReplayReport:
        """Replay saved histories: files, and all `*.json` of folders, with what is below them.

        Raises ConfigurationError if there is nothing to replay, DecodeError for a file that is no saved history.
        """
        files = [found for path in paths for found in _files_of(Path(path))]
        gathering = _Gathering(len(files), on_progress)
        for file in files:
            gathering.add(self.replay(load_history(file)))
        return gathering.report()

    async def replay_store(
        self, store: str | Backend, *, on_progress: OnProgress | None = None, **filters: Unpack[Filters]
    ) -> ReplayReport:
        """Replay the current executions of a store's instances that the filters let through, beside its workers.

        Instances that are started meanwhile are left out. A Backend must be open, and isn't closed. Raises StoreError,
        ConfigurationError.
        """
        where = instance_filter(filters)
        async with _opened(store) as backend:
            gathering = _Gathering(sum((await backend.count_instances(where)).values()), on_progress)
            async with aclosing(_histories(backend, where)) as histories:
                async for history in histories:
                    gathering.add(self.replay(history))
        return gathering.report()


def load_history(path: str | PathLike[str]) -> SavedHistory:
    """The history in a file. Raises DecodeError, which names the file."""
    try:
        return SavedHistory.from_json(Path(path).read_bytes())
    except DecodeError as problem:
        raise DecodeError(f"{path}: {problem}") from problem


class _Gathering:
    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._total = total
        self._on_progress = on_progress
        self._replayed = 0
        self._causes: dict[tuple[str, ...], DivergenceCause] = {}

    def add(self, found: Divergence | None) -> None:
        self._replayed += 1
        if found is not None:
            key = (found.kind, *found.cause)
            self._causes.setdefault(key, DivergenceCause(example=found, instance_ids=[])).instance_ids.append(
                found.instance_id
            )
        if self._on_progress is not None:
            self._on_progress(self._replayed, max(self._total, self._replayed))

    def report(self) -> ReplayReport:
        return ReplayReport(replayed=self._replayed, causes=tuple(self._causes.values()))


def _files_of(path: Path) -> list[Path]:
    if not path.exists():
        raise ConfigurationError(f"there is no file or folder {path}")
    if path.is_file():
        return [path]
    found = sorted(path.rglob("*.json"))
    if not found:
        raise ConfigurationError(f"the folder {path} has no *.json: save histories there with `perdure history export`")
    return found


@asynccontextmanager
async def _opened(store: str | Backend) -> AsyncGenerator[Backend]:
    if not isinstance(store, str):
        yield store
        return
    backend = connect(store, migrate=False)
    await backend.open()
    try:
        yield backend
    finally:
        await backend.close()


async def _histories(store: Inspection, where: InstanceFilter) -> AsyncGenerator[SavedHistory]:
    """Read some ahead: a store takes its time for each."""
    reading: deque[asyncio.Task[SavedHistory | None]] = deque()
    try:
        async for instance in read_instances(store, where):
            reading.append(asyncio.create_task(_read(store, instance)))
            if len(reading) >= _READ_AHEAD and (history := await reading.popleft()) is not None:
                yield history
        while reading:
            if (history := await reading.popleft()) is not None:
                yield history
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def _read(store: Inspection, instance: Instance) -> SavedHistory | None:
    try:
        return await read_saved(store, instance, instance.execution_id)
    except InstanceNotFound:  # removed since it was listed
        return None
