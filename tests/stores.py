"""Empty stores of every kind for tests, and the servers that they need. A new kind joins by a line in `_EMPTY`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from perdure.clock import random_id
from scripts.servers import SERVERS, variable
from scripts.servers.command_line import MAY_BE_MISSING_IN_CI
from tests.places import place


def service_url(name: str) -> str:
    """The URL of a running server of that name (scripts/services has the names); without one the test is skipped."""
    return os.environ.get(variable(name)) or _without(name)


def _without(name: str) -> NoReturn:
    reason = (
        f"no {SERVERS[name].title}: {variable(name)} is not set. `make test` and `scripts/services run -- COMMAND` start one for "
        'as long as they run, `eval "$(scripts/services start)"` until `scripts/services stop`; compose.yaml does it with Docker'
    )
    if "CI" in os.environ and name not in MAY_BE_MISSING_IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def _in_memory(folder: Path) -> Iterator[str]:
    yield f"memory://{random_id().hex()}"


@contextmanager
def _in_file(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / random_id().hex()}.db"


def _on_server(name: str, option: str) -> Callable[[Path], AbstractContextManager[str]]:
    @contextmanager
    def on_server(folder: Path) -> Iterator[str]:
        server = service_url(name)
        with place(server) as own:
            yield f"{server}?{option}={own}"

    return on_server


_EMPTY: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "memory": _in_memory,
    "sqlite": _in_file,
    "postgresql": _on_server("postgresql", "schema"),
    "mariadb": _on_server("mariadb", "prefix"),
    "mysql": _on_server("mysql", "prefix"),
    "redis": _on_server("redis", "prefix"),
    "redis-cluster": _on_server("redis-cluster", "prefix"),
}

ON_SERVERS = tuple(name for name in _EMPTY if name not in {"memory", "sqlite"})
SHARED = ("sqlite", *ON_SERVERS)
"""Those that several processes can work on at once."""
ALL = ("memory", *SHARED)


def as_parameters(names: tuple[str, ...]) -> list[object]:
    """Of a fixture, with the marks that they need."""
    return [pytest.param(name, marks=marks_of(name)) for name in names]


def marks_of(*names: str) -> list[pytest.MarkDecorator]:
    """Of a test on these kinds of stores."""
    return [pytest.mark.server] if {*names} & {*ON_SERVERS} else []


def empty_store(name: str, folder: Path) -> AbstractContextManager[str]:
    """The URL of a store of its own, which goes afterwards; the folder is for those that are files."""
    return _EMPTY[name](folder)
