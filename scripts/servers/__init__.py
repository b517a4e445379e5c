"""Private servers of the stores for tests: on free loopback ports, with data that is thrown away.

`scripts/services` is the command for it; tests that stop and start servers use `Services` itself.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from scripts.debian_unstable import Unavailable
from scripts.servers import processes
from scripts.servers.mysql import Mariadb, Mysql
from scripts.servers.postgresql import Postgresql
from scripts.servers.processes import Node
from scripts.servers.redis import BUS, Redis, RedisCluster

__all__ = ["FOLDER_VARIABLE", "SERVERS", "Node", "Services", "Unavailable", "variable"]

FOLDER_VARIABLE = "PERDURE_SERVICES_FOLDER"

# Below the ports that the kernel gives to outgoing connections, and so is the bus of a cluster: a client that tries to reach a
# server that is down would else sooner or later take the server's port, or connect to itself.
PORTS = range(15_000, 22_000)


class Server(Protocol):
    """What differs from server to server. `find` and everything that starts a program raise Unavailable with the reason."""

    name: str
    title: str
    node_count: int
    stop_signal: signal.Signals
    leftover: str  # the file in its data that names the process, if it has one; who is killed leaves it there

    def find(self) -> Path: ...
    def install(self) -> None: ...
    def create(self, node: Node) -> None: ...
    def command(self, node: Node) -> list[str]: ...
    def is_ready(self, node: Node) -> bool: ...
    def join(self, nodes: Sequence[Node]) -> None: ...
    def url(self, nodes: Sequence[Node]) -> str: ...


_ALL: tuple[Server, ...] = (Postgresql(), Mariadb(), Mysql(), Redis(), RedisCluster())
SERVERS = {server.name: server for server in _ALL}


def variable(name: str) -> str:
    """The environment variable with the URL: PERDURE_TEST_REDIS_CLUSTER for redis-cluster."""
    return f"PERDURE_TEST_{name.upper().replace('-', '_')}"


class Services:
    """The servers whose data are in one folder. Two objects, in two processes too, with the same folder mean the same servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def in_new_folder(cls) -> Services:
        folder = Path(tempfile.mkdtemp(prefix="perdure-services-"))
        folder.chmod(0o755)  # root's servers run as nobody
        return cls(folder)

    def start(self, name: str) -> str:
        """Start what isn't running, with the ports and data it had, and return the URL when it answers."""
        server = SERVERS[name]
        if sys.platform != "linux":
            raise Unavailable("this starts servers on Linux only (compose.yaml is for Docker)")
        try:
            server.find()
        except Unavailable:
            server.install()
        nodes = self.nodes(name) or self._create(server)
        stopped = [node for node in nodes if node.pid is None]
        for node in stopped:
            if server.leftover:
                # Where pid 1 is slow to bury the dead, a server that was killed takes itself for one that runs.
                (node.data / server.leftover).unlink(missing_ok=True)
            processes.spawn(node, server.command(node))
        for node in nodes:
            processes.wait_until_ready(node, server.is_ready)
        if stopped:
            server.join(nodes)
        return server.url(nodes)

    def kill(self, name: str, node: int | None = None) -> None:
        """Kill -9 all its processes, or those of one node, and leave it down."""
        nodes = self.nodes(name)
        processes.end(nodes if node is None else [nodes[node]], signal.SIGKILL)

    def restart(self, name: str) -> str:
        self._end(name)
        return self.start(name)

    def stop(self, names: Collection[str] = SERVERS.keys()) -> None:
        """Stop these and remove their data, and the folder with the last of them."""
        with ThreadPoolExecutor(max_workers=len(SERVERS)) as pool:
            list(pool.map(self._end, names))
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        if self.folder.exists() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def url(self, name: str) -> str | None:
        """Its URL, whether it is running or not; None if it was never started here."""
        nodes = self.nodes(name)
        return SERVERS[name].url(nodes) if nodes else None

    def nodes(self, name: str) -> list[Node]:
        try:
            ports: list[int] = json.loads((self.folder / name / "ports").read_text())
        except FileNotFoundError:
            return []
        return [Node(self.folder / name / str(index), port) for index, port in enumerate(ports)]

    def _create(self, server: Server) -> list[Node]:
        folder = self.folder / server.name
        shutil.rmtree(folder, ignore_errors=True)  # what a start that failed has left
        ports = free_ports(server.node_count)
        nodes = [Node(folder / str(index), port) for index, port in enumerate(ports)]
        for node in nodes:
            processes.make_folder(node.folder)
            server.create(node)
        (folder / "ports").write_text(json.dumps(ports))
        return nodes

    def _end(self, name: str) -> None:
        processes.end(self.nodes(name), SERVERS[name].stop_signal)


def free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = random.choice(PORTS)  # noqa: TID251 - two who start at once should not look at the same ports
        if port not in found and _is_free(port) and _is_free(port + BUS):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
