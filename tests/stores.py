"""The servers that the tests of the stores need."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from scripts.servers import SERVERS, variable
from scripts.servers.command_line import MAY_BE_MISSING_IN_CI


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
