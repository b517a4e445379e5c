"""The diagnostics pages on a port of this machine: who may ask, and when it ends."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.cli.loading import load_app
from perdure.cli.on_record import log_to_stderr, user_name
from perdure.cli.opening import opened
from perdure.errors import ConfigurationError
from perdure.worker.stopping import StopRequest, stop_on_signals

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from perdure.diagnostics.actions.permissions import Authorize
    from perdure.diagnostics.web.site import Site

_LOCAL = ("localhost", "127.0.0.1", "::1")


def serve(url: str | None, app_target: str | None, **options: Any) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    log_to_stderr()
    asyncio.run(_serve(url, app_target, **options))


async def _serve(
    url: str | None, app_target: str | None, *, host: str, port: int, names: Sequence[str], allow_actions: bool
) -> None:
    app = None if app_target is None else load_app(app_target)
    listener = _listen(host, port)
    async with opened(url) as backend:
        who = user_name()
        site = _site(backend, app, (lambda request, action, target: who) if allow_actions else None)
        _greet(listener, host, allow_actions=allow_actions)
        async with site:
            await _run(KnownHosts(site, (host, *names)), listener)


def _site(backend: Backend, app: App | None, authorize: Authorize | None) -> Site:
    try:
        from perdure.diagnostics.web.site import create_app
    except ModuleNotFoundError as problem:
        raise _missing(problem) from problem
    return create_app(backend, app, authorize=authorize)


async def _run(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C, which end well here: uvicorn's own handling ends the process by the signal."""
    try:
        import uvicorn
    except ModuleNotFoundError as problem:
        raise _missing(problem) from problem

    class Server(uvicorn.Server):
        def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
            return nullcontext()

    server = Server(uvicorn.Config(app, log_level="warning", lifespan="off", server_header=False))
    stop = StopRequest()

    async def pass_on() -> None:
        await stop.wait()
        server.should_exit = True
        await stop.wait_for_hurry()
        server.force_exit = True

    with stop_on_signals(stop):
        passing = asyncio.create_task(pass_on())
        await server.serve(sockets=[listener])
        passing.cancel()


def _missing(problem: ModuleNotFoundError) -> ConfigurationError:
    return ConfigurationError(
        f"perdure ui needs the package {problem.name}, which isn't installed: pip install perdure[ui]"
    )


class KnownHosts:
    """Lets requests through that name this server as it is known.

    Else a page of another site could have its own name lead to this address, and read from a browser here what only this machine may
    see (DNS rebinding). An address in digits can't be led elsewhere.
    """

    def __init__(self, app: ASGIApp, names: Sequence[str]) -> None:
        self._app = app
        self._names = {name.lower() for name in (*_LOCAL, socket.gethostname(), *names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.responses import PlainTextResponse

        given = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        if self._is_known(given):
            await self._app(scope, receive, send)
        else:
            told = f"This server isn't known as {given!r}. If it is meant, start it with --allow-host.\n"
            await PlainTextResponse(told, status_code=400)(scope, receive, send)

    def _is_known(self, given: str) -> bool:
        name = given.rpartition("]")[0].removeprefix("[") or given.partition(":")[0]
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.lower() in self._names
        return True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as problem:
        raise click.ClickException(
            f"can't listen on {host} port {port}: {problem.strerror or problem}. --port and --host name others; --port 0 takes a free one"
        ) from problem


def _greet(listener: socket.socket, host: str, *, allow_actions: bool) -> None:
    port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    can = "Actions are allowed" if allow_actions else "Read-only"
    click.echo(f"http://{shown}:{port}/  {can}; Ctrl-C stops it.", err=True)
    if host not in _LOCAL:
        may = "see and change all that is in the store" if allow_actions else "see all that is in the store"
        click.echo(f"Whoever reaches {shown} can {may}: there is no login.", err=True)
