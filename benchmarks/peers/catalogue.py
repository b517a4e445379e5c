"""Who is compared, in which cases, and what a reader must know to compare. Standard library only: peers import it too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.peers import environments

CASES = (
    "one_activity",
    "two_workers",
    "ten_in_a_row",
    "steps_in_a_row",
    "fan_out",
    "tree",
    "idle_latency",
    "start_only",
)

_RUN = Path(__file__).with_name("run.py")


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of a case a peer is asked for. Rates are compared, so a slow one gets less to do."""

    count: int
    in_flight: int = 1


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One that is compared with."""

    name: str
    durability: str
    differs: str
    beside: str = "sqlite"
    """The kind of our stores that promises as much; if that one is a server, the peer is on the same one."""
    script: str = ""
    """Its file and its environment, if they aren't of its name."""
    scales: Mapping[str, Scale]

    @property
    def cases(self) -> frozenset[str]:
        """What it can do honestly."""
        return frozenset(self.scales)

    def scale(self, case: str) -> Scale:
        """Enough for 3 to 6 s on two cores of 2026, less where it is fast."""
        return self.scales[case]

    @property
    def program(self) -> str:
        """Its file and its environment are of this name."""
        return self.script or self.name

    def command(self, case: str, *, count: int, in_flight: int, folder: Path, store: str = "") -> list[str]:
        """A process whose last line is the JSON object of the run. Folder and store are fresh, and stay the caller's."""
        if case not in self.scales:
            raise ValueError(f"{self.name} has no {case}, only {', '.join(sorted(self.scales))}")
        python = str(environments.python_of(self.program))
        words = ["--count", str(count), "--in-flight", str(in_flight), "--folder", str(folder), "--store", store]
        return [python, str(_RUN), self.program, case, *words]


_FLOOR = {
    "one_activity": Scale(count=40_000, in_flight=200),
    "ten_in_a_row": Scale(count=8_000, in_flight=200),
    "steps_in_a_row": Scale(count=5_000),
    "fan_out": Scale(count=40_000),
    "tree": Scale(count=2_000),
    "idle_latency": Scale(count=2_000),
    "start_only": Scale(count=30_000, in_flight=50),
}

_FLOOR_ON_SERVERS = {
    "one_activity": Scale(count=20_000, in_flight=200),
    "two_workers": Scale(count=20_000, in_flight=200),
    "steps_in_a_row": Scale(count=2_000),
    "tree": Scale(count=400),
    "idle_latency": Scale(count=200),
    "start_only": Scale(count=20_000, in_flight=50),
}

_PEERS = (
    Peer(
        name="floor",
        durability="SQLite file, WAL, synchronous=FULL, a commit of many workflows",
        differs="no engine: nothing is read back, no retries, timers, leases or failures; a thread writes",
        scales=_FLOOR,
    ),
    Peer(
        name="floor_memory",
        durability="none: SQLite in memory",
        beside="memory",
        differs="as floor",
        scales=_FLOOR,
    ),
    *(
        Peer(
            name=f"floor_{store}",
            script="floor",
            durability="the server's, as ours; a commit of many workflows",
            beside=store,
            differs="as floor, but one connection on the event loop",
            scales=_FLOOR_ON_SERVERS,
        )
        for store in ("postgresql", "mariadb", "mysql", "redis")
    ),
    Peer(
        name="dbos",
        durability="SQLite file, WAL, synchronous=FULL (set on its connections), a commit for each step",
        differs="threads on 2 connections, its fastest here; steps side by side and children on its asynchronous half",
        scales={
            "one_activity": Scale(count=1_000, in_flight=50),
            "ten_in_a_row": Scale(count=200, in_flight=50),
            "steps_in_a_row": Scale(count=2_500),
            "fan_out": Scale(count=1_500),
            "tree": Scale(count=25),
            "idle_latency": Scale(count=500),
            "start_only": Scale(count=3_000, in_flight=50),
        },
    ),
    Peer(
        name="dbos_postgresql",
        script="dbos",
        durability="PostgreSQL, synchronous_commit and fsync on, as we; a commit for each step",
        beside="postgresql",
        differs="threads on 20 connections, its own number; steps side by side and children on its asynchronous half",
        scales={
            "one_activity": Scale(count=1_000, in_flight=50),
            "two_workers": Scale(count=1_500, in_flight=100),
            "steps_in_a_row": Scale(count=1_500),
            "tree": Scale(count=15),
            "idle_latency": Scale(count=150),
            "start_only": Scale(count=2_000, in_flight=50),
        },
    ),
    Peer(
        name="durabletask",
        durability="none: the backend in memory that comes with its SDK for tests",
        beside="memory",
        differs="gRPC on the loopback within one process; the whole history is sent for each step, so a rate falls with length",
        scales={
            "one_activity": Scale(count=1_200, in_flight=50),
            "ten_in_a_row": Scale(count=200, in_flight=50),
            "steps_in_a_row": Scale(count=300),
            "fan_out": Scale(count=2_000),
            "tree": Scale(count=40),
            "idle_latency": Scale(count=500),
            "start_only": Scale(count=8_000, in_flight=50),
        },
    ),
    Peer(
        name="unhinged",
        durability="SQLite file, WAL, synchronous=FULL (its default), a commit for each step",
        differs="all are spawned, then a worker runs them, both timed; idle: it polls each ms; steps commit on the event loop",
        scales={
            "one_activity": Scale(count=5_000, in_flight=50),
            "ten_in_a_row": Scale(count=1_500, in_flight=50),
            "steps_in_a_row": Scale(count=10_000),
            "fan_out": Scale(count=10_000),
            "idle_latency": Scale(count=1_000),
            "start_only": Scale(count=12_000, in_flight=50),
        },
    ),
    Peer(
        name="edda",
        durability="SQLite file, WAL, synchronous=FULL (set on its connections), a commit for each step",
        differs="one connection, not its pool of 15, with which concurrent workflows failed on SQLite; on uvloop, as it sets itself",
        scales={
            "one_activity": Scale(count=200, in_flight=50),
            "ten_in_a_row": Scale(count=40, in_flight=20),
            "steps_in_a_row": Scale(count=500),
            "fan_out": Scale(count=1_000),
            "idle_latency": Scale(count=300),
        },
    ),
    Peer(
        name="prefect",
        durability="SQLite file, WAL, synchronous=NORMAL (its own, in its server); results in files, no fsync",
        differs="one flow at a time, its fastest here; its temporary API server is a second process; task states arrive later",
        scales={
            "one_activity": Scale(count=40),
            "ten_in_a_row": Scale(count=20),
            "steps_in_a_row": Scale(count=500),
            "fan_out": Scale(count=300),
            "tree": Scale(count=2),
            "idle_latency": Scale(count=30),
        },
    ),
)

ON_EVERY_STORE = tuple(peer.name for peer in _PEERS if peer.program in {"floor", "floor_memory", "dbos"})
"""Those that there are for more than one kind of store: they run if nobody says which."""

PEERS: Mapping[str, Peer] = MappingProxyType({peer.name: peer for peer in _PEERS})
