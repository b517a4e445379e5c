"""The processes of a chaos run: workers that are killed and started again, and the server of the store, if it has one."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from tests.chaos.witness import Killed, Witness

_ROOT = Path(__file__).parents[2]
_STOP_SECONDS = 20.0


class Server(Protocol):
    """What the store's data outlives."""

    def restart(self) -> object:
        """Stop it in good order and start it again with its data."""
        ...

    def kill(self) -> object:
        """kill -9."""
        ...

    def start(self) -> object:
        """Start it again with its data."""
        ...


class Service:
    """A server that `scripts/services` has started, by its name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def restart(self) -> None:
        self._do("restart")

    def kill(self) -> None:
        self._do("kill")

    def start(self) -> None:
        self._do("start")

    def _do(self, verb: str) -> None:
        # With its URL in the environment, `start` would take the server for somebody else's.
        env = {name: value for name, value in os.environ.items() if not name.startswith("PERDURE_TEST_")}
        command = [str(_ROOT / "scripts/services"), verb, self._name]
        done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


class LockedFile:
    """SQLite has no server: as good as away is a file whose lock another program keeps."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def restart(self) -> None:
        self.kill()
        time.sleep(1.5)
        self.start()

    def kill(self) -> None:
        self._connection = sqlite3.connect(self._path, timeout=20, isolation_level=None, check_same_thread=False)
        self._connection.execute("begin immediate")

    def start(self) -> None:
        assert self._connection is not None
        self._connection.close()


class Fleet:
    """Worker processes. Each has a name of its own, by which its log and its witness are called, also after a restart."""

    def __init__(self, url: str, folder: Path, witness: Witness, *, size: int, lease_seconds: float, seed: int) -> None:
        self._url = url
        self._folder = folder
        self._witness = witness
        self._lease_seconds = lease_seconds
        self._dice = random.Random(seed)
        self._born = 0
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self.problems: list[str] = []
        for _ in range(size):
            self._spawn()

    def kill_one(self) -> None:
        """kill -9 for a random one, and another one in its place."""
        for name in [name for name, worker in self._workers.items() if worker.poll() is not None]:
            self._note_end(name, self._workers.pop(name))
            self._spawn()
        name = self._dice.choice(sorted(self._workers))
        worker = self._workers.pop(name)
        self._witness.saw(Killed(process=name))
        worker.kill()
        worker.wait()
        self._spawn()

    async def freeze_one(self, seconds: float) -> None:
        """SIGSTOP for a random one: it comes back without knowing that its leases have lapsed."""
        worker = self._workers[self._dice.choice(sorted(self._workers))]
        worker.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            worker.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        """SIGTERM: they must end by themselves, and well."""
        for worker in self._workers.values():
            worker.send_signal(signal.SIGTERM)
        for name, worker in self._workers.items():
            try:
                await asyncio.to_thread(worker.wait, _STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            self._note_end(name, worker)
        self._workers.clear()

    def _spawn(self) -> None:
        self._born += 1
        name = f"worker-{self._born}"
        arguments = [self._url, str(self._folder / f"{name}.jsonl"), str(self._lease_seconds)]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])}
        with (self._folder / f"{name}.log").open("wb") as log:
            self._workers[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.worker", *arguments], env=env, cwd=_ROOT, stderr=log, stdout=log
            )

    def _note_end(self, name: str, worker: subprocess.Popen[bytes]) -> None:
        witness = self._folder / f"{name}.jsonl"
        if worker.returncode == -signal.SIGTERM and not (witness.exists() and witness.stat().st_size):
            return  # it hadn't begun yet
        if worker.returncode:
            log = (self._folder / f"{name}.log").read_text(errors="replace")
            self.problems.append(f"{name} ended with {worker.returncode}, and nobody had killed it: …{log[-1_500:]}")
