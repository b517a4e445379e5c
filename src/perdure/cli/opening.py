"""A store that is there, and a client of it, for as long as a command needs them."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from difflib import get_close_matches

from perdure.backends.protocol import Backend, Inspection
from perdure.cli.loading import existing_store, load_app
from perdure.client.client import Client
from perdure.client.schedules import KEEPER_PREFIX
from perdure.errors import DecodeError, InstanceNotFound, ScheduleNotFound, StoreError, StoreUnavailable
from perdure.model.inspection import InstanceFilter

_LOOKED_AT = 500
_NAMED = 3


@asynccontextmanager
async def opened(store: str | None) -> AsyncGenerator[Backend]:
    """A store that is there. An id that isn't is told with those that are nearly the same."""
    backend = existing_store(store)
    await open_store(backend)
    try:
        yield backend
    except ScheduleNotFound as problem:
        name = problem.instance_id.removeprefix(KEEPER_PREFIX)
        raise ScheduleNotFound(
            f"there is no schedule {name!r} in this store: `perdure schedule list` shows those that there are",
            problem.instance_id,
        ) from problem
    except InstanceNotFound as problem:
        raise InstanceNotFound(f"{problem}{await near(backend, problem.instance_id)}", problem.instance_id) from problem
    finally:
        await backend.close()


@asynccontextmanager
async def opened_client(store: str | None, app_target: str | None = None) -> AsyncGenerator[Client]:
    """A client of a store that is there, with the App if one is named."""
    app = None if app_target is None else load_app(app_target)
    with _quiet():
        async with opened(store) as backend, Client(backend, app) as client:
            try:
                yield client
            except DecodeError as problem:
                if app is not None:
                    raise
                raise DecodeError(f"{problem}. The App has codecs and types: --app MODULE:APP") from problem


async def open_store(backend: Backend) -> None:
    """Nothing was written yet, so who can't reach a server is told that alone."""
    try:
        await backend.open()
    except StoreUnavailable as problem:
        if backend.url.startswith("sqlite:"):
            raise
        said = problem.__cause__ or problem
        raise StoreUnavailable(
            f"{backend.url} can't be reached: is its server running, and is the URL right? It was said: {said}"
        ) from problem


@contextmanager
def _quiet() -> Generator[None]:
    """What perdure logs of its own troubles is no news here: the command tells what came of them."""
    logger = logging.getLogger("perdure")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


async def near(store: Inspection, instance_id: str) -> str:
    """A hint: ids that somebody may have meant, of those that hold it and of the newest ones."""
    with suppress(StoreError):
        held = await store.list_instances(InstanceFilter(id_contains=instance_id), limit=_NAMED)
        newest = await store.list_instances(limit=_LOOKED_AT)
        alike = get_close_matches(instance_id, [each.instance_id for each in newest.items], n=_NAMED)
        found = list(dict.fromkeys([*alike, *(each.instance_id for each in held.items)]))[:_NAMED]
        if found:
            return f". Did you mean {' or '.join(map(repr, found))}?"
    return ". `perdure list` shows those that there are"
