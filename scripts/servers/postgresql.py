"""A PostgreSQL that is durable (fsync is on) and sorts text as most real ones do: by a language, not by bytes."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from scripts.servers import processes, programs
from scripts.servers.processes import Node

ICU_PROVIDER_SINCE = 15


class Postgresql:
    name = "postgresql"
    title = "PostgreSQL"
    node_count = 1
    packages = ("postgresql",)
    stop_signal = signal.SIGINT  # its fast shutdown; SIGTERM would wait for the clients to go
    leftover = "postmaster.pid"

    def find(self) -> Path:
        return programs.find_newest("/usr/lib/postgresql/*/bin/postgres").resolve()

    def install(self) -> None:
        programs.install(self.packages)

    def create(self, node: Node) -> None:
        postgres = self.find()
        version = postgres.parts[-3]
        icu = version.isdigit() and int(version) >= ICU_PROVIDER_SINCE
        initdb = [
            str(postgres.parent / "initdb"),
            f"--pgdata={node.data}",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        language = ["--locale-provider=icu", "--icu-locale=en"] if icu else []
        processes.call(
            [*initdb, *language, "--auth=scram-sha-256", "--username=postgres", "--pwfile=/proc/sys/kernel/random/uuid"]
        )
        create = "create role perdure login password 'perdure'\ncreate database perdure owner perdure\n"
        processes.call([str(postgres), "--single", "-D", str(node.data), "postgres"], stdin=create)

    def command(self, node: Node) -> list[str]:
        settings = {
            "port": node.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
        }
        return [str(self.find()), "-D", str(node.data), *(f"--{name}={value}" for name, value in settings.items())]

    def is_ready(self, node: Node) -> bool:
        try:
            lines = (node.data / self.leftover).read_text().split("\n")
        except FileNotFoundError:
            return False
        # The file of a server that was killed is still there: the first line tells whose it is.
        return lines[0] == str(node.pid) and "ready" in (line.strip() for line in lines)

    def join(self, nodes: Sequence[Node]) -> None:
        """One node has nobody to join."""

    def url(self, nodes: Sequence[Node]) -> str:
        return f"postgresql://perdure:perdure@127.0.0.1:{nodes[0].port}/perdure"
