"""A site under uvicorn, on a loopback port, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from perdure.diagnostics.actions.table import ActionName, Target
from perdure.diagnostics.web.site import create_app
from tests.diagnostics.browser.shop import app

ANNA = "anna"


def anna(request: Any, action: ActionName, target: Target) -> str:
    """Whoever comes is anna, who may do everything."""
    return ANNA


@contextmanager
def served(site: Any, *, root_path: str = "") -> Iterator[str]:
    """The address of the site, without a slash at its end, while it is served."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(site, log_level="warning", ws="none", root_path=root_path)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}{root_path}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def served_shop(url: str, **options: Any) -> Iterator[str]:
    """The pages of a store that anna may work with, and whose workflows the shop's App has."""
    with served(create_app(url, app, **{"authorize": anna} | options)) as address:
        yield address
