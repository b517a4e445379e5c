"""What a site reads and writes through: opened when it is first needed, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

from starlette.applications import Starlette
from starlette.requests import Request

from perdure.app import App
from perdure.backends.protocol import Backend
from perdure.client.client import Client
from perdure.diagnostics.actions.batch import Batches
from perdure.diagnostics.actions.desk import Desk
from perdure.diagnostics.actions.permissions import Permissions
from perdure.diagnostics.look import Look
from perdure.errors import ConfigurationError


class Store:
    """A client, which is closed if it was made here, and what looks and acts through it."""

    def __init__(self, store: str | Backend | Client, app: App | None, permissions: Permissions) -> None:
        self._is_ours = not isinstance(store, Client)
        self._client = store if isinstance(store, Client) else Client(store, app)
        self._is_open = False
        self._opening = asyncio.Lock()
        self.look = Look(self._client, self._client._app if app is None else app)
        self.desk = Desk(self._client, permissions)
        self.batches = Batches(self.desk)

    @property
    def url(self) -> str:
        """Where it is, without secrets; empty until it is open."""
        try:
            return self._client.backend.url
        except ConfigurationError:  # it isn't open
            return ""

    async def open(self) -> None:
        """Raises StoreError; then the next one tries again."""
        if self._is_open:
            return
        async with self._opening:
            if self._is_ours and not self._is_open:
                await self._client.__aenter__()
            self._is_open = True

    async def services(self) -> Self:
        """Itself, open. Raises StoreError."""
        await self.open()
        return self

    async def close(self) -> None:
        async with self._opening:
            if not self._is_open:
                return
            self._is_open = False
            await self.batches.close()
            if self._is_ours:
                await self._client.__aexit__(None, None, None)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncGenerator[None]:
        """A store that can't be reached yet doesn't keep the site from starting: its pages say so."""
        try:
            yield
        finally:
            await self.close()


async def store_of(request: Request) -> Store:
    """The store of the request's site, open."""
    store: Store = request.app.state.store
    return await store.services()
