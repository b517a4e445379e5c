"""MariaDB out of Debian's packages, and MySQL itself out of Debian unstable, unpacked into a private folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts import debian_unstable
from scripts.servers import processes, programs
from scripts.servers.processes import Node

# Root's servers run as nobody, who may not look into root's home.
_SHARED_OR_OWN = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
CACHE = Path(os.environ.get("PERDURE_CACHE") or _SHARED_OR_OWN / "perdure")

# One statement a line: MariaDB reads it so.
SETUP = """\
create user if not exists 'perdure'@'%' identified by 'perdure';
grant all on `perdure%`.* to 'perdure'@'%';
create database if not exists perdure;
"""

PROTOCOL_VERSION = 10
SOCKET = "mysql.sock"  # beside the data: the path of a socket may not be long


class Mariadb:
    name = "mariadb"
    title = "MariaDB"
    node_count = 1
    packages = ("mariadb-server-core", "mariadb-client-core")
    stop_signal = signal.SIGTERM
    leftover = ""

    def find(self) -> Path:
        programs.find("my_print_defaults")  # mariadb-install-db calls it; it comes with the other package
        return programs.find("mariadbd")

    def install(self) -> None:
        programs.install(self.packages)

    def create(self, node: Node) -> None:
        install_db = str(programs.find("mariadb-install-db"))
        processes.call([install_db, "--no-defaults", f"--datadir={node.data}", "--skip-test-db"])
        _setup_file(node).write_text(SETUP)

    def command(self, node: Node) -> list[str]:
        return [str(self.find()), "--no-defaults", *_settings(node), f"--init-file={_setup_file(node)}"]

    def is_ready(self, node: Node) -> bool:
        return greets(node.port)

    def join(self, nodes: Sequence[Node]) -> None:
        """One node has nobody to join."""

    def url(self, nodes: Sequence[Node]) -> str:
        return f"mariadb://perdure:perdure@127.0.0.1:{nodes[0].port}/perdure"


class Mysql:
    name = "mysql"
    title = "MySQL"
    node_count = 1
    stop_signal = signal.SIGTERM
    leftover = f"{SOCKET}.lock"

    def find(self) -> Path:
        root = CACHE / "mysql"
        if not (root / "usr" / "sbin" / "mysqld").exists():
            raise debian_unstable.Unavailable(f"there is no MySQL in {root}")
        return root

    def install(self) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)
        with programs.installing, tempfile.TemporaryDirectory(dir=CACHE) as folder:
            root = debian_unstable.unpack(Path(folder), ["mysql-server-core"])
            shutil.rmtree(CACHE / "mysql", ignore_errors=True)
            root.rename(CACHE / "mysql")

    def create(self, node: Node) -> None:
        _setup_file(node).write_text(SETUP)
        processes.call([*self._program(node), "--initialize-insecure", f"--init-file={_setup_file(node)}"])

    def command(self, node: Node) -> list[str]:
        return [*self._program(node), *_settings(node), "--mysqlx=0"]

    def is_ready(self, node: Node) -> bool:
        return greets(node.port)

    def join(self, nodes: Sequence[Node]) -> None:
        """One node has nobody to join."""

    def url(self, nodes: Sequence[Node]) -> str:
        return f"mysql://perdure:perdure@127.0.0.1:{nodes[0].port}/perdure"

    def _program(self, node: Node) -> list[str]:
        root = self.find()
        return [
            str(debian_unstable.loader(root)),
            "--library-path",
            str(debian_unstable.libraries(root)),
            str(root / "usr" / "sbin" / "mysqld"),
            "--no-defaults",
            f"--basedir={root / 'usr'}",
            f"--lc-messages-dir={root / 'usr' / 'share' / 'mysql'}",
            f"--plugin-dir={root / 'usr' / 'lib' / 'mysql' / 'plugin'}",
            "--secure-file-priv=NULL",
            f"--datadir={node.data}",
        ]


def greets(port: int) -> bool:
    """Whether a server of the MySQL protocol takes connections: it speaks first."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            greeting = connection.recv(5)
    except OSError:
        return False
    return len(greeting) == 5 and greeting[4] == PROTOCOL_VERSION


def _settings(node: Node) -> list[str]:
    """What both take; all that is about durability is as they come."""
    return [
        f"--datadir={node.data}",
        f"--port={node.port}",
        "--bind-address=127.0.0.1",
        f"--socket={SOCKET}",
        "--skip-name-resolve",
        "--max-connections=200",
    ]


def _setup_file(node: Node) -> Path:
    return node.folder / "setup.sql"
