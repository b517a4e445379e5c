"""One Redis, and a Redis Cluster of three masters with a replica each, with an append-only file."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

from scripts.servers import processes, programs
from scripts.servers.processes import Node

BUS = 10_000  # the nodes of a cluster talk to each other at the port that is so much higher

FSYNC = "PERDURE_SERVICES_APPENDFSYNC"
"""What else than everysec: with that a server that is killed may lose what it answered while an fsync was under way."""


class Redis:
    name = "redis"
    title = "Redis"
    node_count = 1
    packages = ("redis-server",)
    stop_signal = signal.SIGTERM
    leftover = ""

    def find(self) -> Path:
        return programs.find("redis-server")

    def install(self) -> None:
        programs.install(self.packages)

    def create(self, node: Node) -> None:
        processes.make_folder(node.data)

    def command(self, node: Node) -> list[str]:
        return _command(self.find(), node)

    def is_ready(self, node: Node) -> bool:
        return ask(node, "PING").startswith("+PONG")

    def join(self, nodes: Sequence[Node]) -> None:
        """One node has nobody to join."""

    def url(self, nodes: Sequence[Node]) -> str:
        return f"redis://127.0.0.1:{nodes[0].port}/0"


class RedisCluster:
    name = "redis-cluster"
    title = "Redis Cluster"
    node_count = 6
    packages = ("redis-server",)
    stop_signal = signal.SIGTERM
    leftover = ""

    def find(self) -> Path:
        programs.find("redis-cli")
        return programs.find("redis-server")

    def install(self) -> None:
        programs.install(self.packages)

    def create(self, node: Node) -> None:
        processes.make_folder(node.data)

    def command(self, node: Node) -> list[str]:
        cluster = ["--cluster-enabled", "yes", "--cluster-node-timeout", "10000", "--repl-diskless-sync-delay", "0"]
        return [*_command(self.find(), node), *cluster]

    def is_ready(self, node: Node) -> bool:
        return ask(node, "PING").startswith("+PONG")

    def join(self, nodes: Sequence[Node]) -> None:
        """Make a cluster of them, once; each time wait until they agree on it and every replica follows its master."""
        if all("cluster_known_nodes:1\r" in ask(node, "CLUSTER INFO") for node in nodes):
            addresses = [f"127.0.0.1:{node.port}" for node in nodes]
            create = ["--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes"]
            processes.call([str(programs.find("redis-cli")), *create])
        processes.wait_until_ready(nodes[0], lambda _: _are_joined(nodes))

    def url(self, nodes: Sequence[Node]) -> str:
        return f"redis+cluster://127.0.0.1:{nodes[0].port}"


def ask(node: Node, question: str) -> str:
    """The answer to a short command, as it comes over the wire; empty if there is none."""
    try:
        with socket.create_connection(("127.0.0.1", node.port), timeout=1) as connection:
            connection.sendall(f"{question}\r\n".encode())
            return connection.recv(65536).decode()
    except OSError:
        return ""


def _command(program: Path, node: Node) -> list[str]:
    settings = {
        "port": str(node.port),
        "bind": "127.0.0.1",
        "dir": str(node.data),
        "appendonly": "yes",
        "appendfsync": os.environ.get(FSYNC, "everysec"),
        "maxmemory-policy": "noeviction",
    }
    return [str(program), *(word for name, value in settings.items() for word in (f"--{name}", value))]


def _are_joined(nodes: Sequence[Node]) -> bool:
    views = [_view(node) for node in nodes]
    return (
        all(view == views[0] for view in views)
        and len(views[0]) == len(nodes)
        and all(flags in {"master", "slave"} for _, flags, *_ in views[0])  # neither failing nor shaking hands
        and all("cluster_state:ok" in ask(node, "CLUSTER INFO") for node in nodes)
        and all("master_link_status:down" not in ask(node, "INFO replication") for node in nodes)
    )


def _view(node: Node) -> set[tuple[str, ...]]:
    """What a node thinks of each: id, flags, master's id, slots. After a fail-over who comes back thinks that he is master still."""
    lines = [line.split() for line in ask(node, "CLUSTER NODES").splitlines()]
    return {(words[0], words[2].removeprefix("myself,"), words[3], *words[8:]) for words in lines if len(words) >= 8}
