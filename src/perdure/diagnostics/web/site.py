"""The site: which address shows what, and what is kept for all requests."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.client.client import Client
from perdure.diagnostics.actions.permissions import Authorize, Permissions
from perdure.diagnostics.api.application import create_api
from perdure.diagnostics.web import errors
from perdure.diagnostics.web.headers import SecurityHeaders
from perdure.diagnostics.web.pages import acting, batches, instance, instances, others
from perdure.diagnostics.web.store import Store

_LARGEST_BODY = 4_000_000


class Site:
    """An ASGI app. Where nobody runs its lifespan, as when it is mounted, the store is opened by the first request.

    `async with site:` in the program's own lifespan opens and closes it in time.
    """

    def __init__(self, store: Store, *, framed_by: Sequence[str] = ()) -> None:
        self._store = store
        self._app: ASGIApp = SecurityHeaders(_application(store), framed_by)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def __aenter__(self) -> Self:
        await self._store.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._store.close()


def create_app(
    store: str | Backend | Client,
    app: App | None = None,
    *,
    authorize: Authorize | None = None,
    framed_by: Sequence[str] = (),
) -> Site:
    """The diagnostics pages of a store, as an ASGI app to serve or to mount.

    `store` is a URL, or a Backend or Client that is open when requests come, and stays its owner's. The `app` opens payloads that its
    codecs have closed, and finds source lines. Without `authorize` all is read-only; it is asked who may do what, and gets the
    request, the action and its target. `framed_by` are origins whose pages may hold this one in a frame.
    """
    return Site(Store(store, app, Permissions(authorize)), framed_by=framed_by)


def _application(store: Store) -> Starlette:
    made = Starlette(
        routes=_routes(store), exception_handlers=errors.HANDLERS, lifespan=store.lifespan, max_body_size=_LARGEST_BODY
    )
    made.state.store = store
    return made


def _routes(store: Store) -> list[BaseRoute]:
    one = "/instances/{segment}"
    return [
        Route("/", instances.show_instances),
        Route("/find", instances.find),
        Route(one, instance.show_instance),
        Route(f"{one}/tree", others.show_tree),
        Route(f"{one}/payload", others.send_payload),
        Route(f"{one}/save", others.send_run),
        Route("/queues", others.show_queues),
        Route("/schedules", others.show_schedules),
        Route("/do/{kind}/{segment}/{action}", acting.ask),
        Route("/do/{kind}/{segment}/{action}", acting.act, methods=["POST"]),
        Route("/batches", batches.show_batches),
        Route("/batches/new/{action}", batches.ask),
        Route("/batches/new/{action}", batches.start, methods=["POST"]),
        Route("/batches/{batch}", batches.show_batch),
        Route("/batches/{batch}/stop", batches.stop, methods=["POST"]),
        Route("/health", others.health),
        Route("/static/{name}", others.send_static),
        Mount("/api", create_api(store.services)),
    ]
