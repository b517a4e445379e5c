"""Moving house: all that one store has into another one, where it goes on.

What makes a copy one that can be broken off anywhere and run again:

1. The target is closed first, as *being filled*: nothing runs there, imports alone get in. Only then is the source sealed, as
   *moved*. So while the source is open, no copy of anything that may still change is in the target; and a sealed source
   with an open target is a move that has ended, and isn't begun again: the target may have gone on, and removed what ended.
2. In between nothing changes on either side. An instance that is in the target with the same execution is the same.
3. The target opens when all is there and the counts agree.

Ids that both stores have are looked for before anything is copied, and then nothing is.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from perdure.backends.connect import connect
from perdure.backends.protocol import Backend
from perdure.backends.seals import filling_from
from perdure.clock import random_id
from perdure.errors import (
    ConfigurationError,
    InstanceAlreadyExists,
    InstanceNotFound,
    StoreError,
    StoreFilling,
    StoreSealed,
)
from perdure.model.inspection import ExportedInstance, SettingKind
from perdure.model.instance import Instance, State
from perdure.model.transition import Suspend

OnProgress = Callable[[int, int], object]
"""Called with how many instances are in the target by now, and how many there will be."""

_AT_ONCE = 64
"""Instances under way: enough for a store to gather them into one transaction."""
_NAMED = 20


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy did. `source` and `target` count instances by state, at the end (the target's own among them)."""

    source_url: str
    target_url: str
    source: dict[State, int]
    target: dict[State, int]
    instances: int
    """How many came over in this run."""
    there_before: int
    """How many had come over in an earlier one."""
    settings: int
    had_ended: bool
    """The move had ended before: nothing was done."""


class _Stage(enum.Enum):
    NOT_BEGUN = enum.auto()
    UNDER_WAY = enum.auto()
    ENDED = enum.auto()


async def copy_store(
    source: str | Backend,
    target: str | Backend,
    *,
    into_existing: bool = False,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> Copied:
    """Move all instances, running ones included, and all settings; the source stays behind sealed.

    A Backend must be open, and isn't closed. If this is broken off, however, both stores stay closed: call it again and
    it goes on. `into_existing` allows a target that has instances of its own; settings that it has stay. `dry_run` only
    looks whether the move would begin, and counts.

    Raises ConfigurationError for two stores between which there is nothing to move, and InstanceAlreadyExists if both
    have instances of one id; then nothing was copied, and both stores are as before.
    """
    async with _opened(source, target) as (old, new):
        stage = await _stage_of(old, new)
        if stage is _Stage.NOT_BEGUN:
            await _begin(old, new, into_existing=into_existing, dry_run=dry_run)
        if dry_run or stage is _Stage.ENDED:
            return await _counted(old, new, had_ended=stage is _Stage.ENDED)
        await _refuse_clashes(old, new)
        settings = await _copy_settings(old, new)
        instances, there_before = await _copy_instances(old, new, on_progress or (lambda done, total: None))
        copied = await _counted(old, new, instances=instances, there_before=there_before, settings=settings)
        _check_counts(copied)
        await new.seal(None)
        return copied


async def abandon_copy(source: str | Backend, target: str | Backend) -> int:
    """Open the source again, if the move hasn't ended; how many copies are left in the target, which then stays closed.

    Raises ConfigurationError if there is nothing to abandon, or if the target has copies beside instances of its own:
    these could go on only together.
    """
    async with _opened(source, target) as (old, new):
        stage = await _stage_of(old, new)
        if stage is _Stage.ENDED:
            raise ConfigurationError(
                f"the move has ended: the instances of {old.url} go on in {new.url}. They would run twice if this one opened."
            )
        if stage is _Stage.NOT_BEGUN and await _refusal_of(new) is None:
            raise ConfigurationError(f"{old.url} is open: no move of it to {new.url} is under way")
        copies = len(await _shared_ids(old, new, are_copies_meant=True))
        if 0 < copies < sum((await new.count_instances()).values()):
            raise ConfigurationError(
                f"{new.url} has {copies} copies beside instances of its own. Run the copy again to its end instead."
            )
        await old.seal(None)
        if not copies:
            await new.seal(None)
        return copies


@asynccontextmanager
async def _opened(source: str | Backend, target: str | Backend) -> AsyncGenerator[tuple[Backend, Backend]]:
    async with AsyncExitStack() as stack:
        stores: list[Backend] = []
        for given in (source, target):
            store = connect(given) if isinstance(given, str) else given
            if isinstance(given, str):
                await store.open()
                stack.push_async_callback(store.close)
            stores.append(store)
        yield stores[0], stores[1]


# --- where the move stands


async def _stage_of(old: Backend, new: Backend) -> _Stage:
    """Raises ConfigurationError if one of the two takes part in another move."""
    out, into = await _refusal_of(old), await _refusal_of(new)
    if old.url == new.url or (isinstance(out, StoreFilling) and out.source == old.url):
        raise ConfigurationError(f"{old.url} and {new.url} are the same store")
    if isinstance(out, StoreFilling):
        raise ConfigurationError(
            f"{old.url} is being filled from {out.source} itself: bring that copy to its end first"
        )
    if isinstance(into, StoreSealed):
        raise ConfigurationError(f"{new.url} was moved to {into.target} itself: nothing can be copied into it")
    if into is not None and into.source != old.url:
        raise ConfigurationError(f"{new.url} is being filled from {into.source}: bring that copy to its end first")
    if out is None:
        return _Stage.NOT_BEGUN
    if out.target != new.url:
        raise ConfigurationError(f"{old.url} was moved, or is being moved, to {out.target} already")
    return _Stage.ENDED if into is None else _Stage.UNDER_WAY


async def _refusal_of(store: Backend) -> StoreSealed | StoreFilling | None:
    """How the store refuses; asked by a transition that would change nothing."""
    try:
        await store.commit(Suspend(instance_id=random_id().hex()))
    except (StoreSealed, StoreFilling) as refusal:
        return refusal
    return None


async def _begin(old: Backend, new: Backend, *, into_existing: bool, dry_run: bool) -> None:
    """Close the target, then the source."""
    was_open = await _refusal_of(new) is None
    own = sum((await new.count_instances()).values())
    if was_open and own and not into_existing:
        raise ConfigurationError(
            f"{new.url} has {own} instances of its own. Copy into an empty store, or say that these two are to become one: "
            f"into_existing=True, --into-existing."
        )
    if dry_run:
        await _refuse_shared_ids(old, new)
        return
    await new.seal(filling_from(old.url))
    try:
        await _stage_of(old, new)  # two URLs may lead to one store, which now is closed
        await _refuse_shared_ids(old, new)
    except (ConfigurationError, InstanceAlreadyExists):
        if was_open:
            await new.seal(None)
        raise
    await old.seal(new.url)


# --- ids that both have


async def _refuse_shared_ids(old: Backend, new: Backend) -> None:
    """While the source is open, whatever the target has of it is out of date: left by an abandoned move."""
    shared = await _shared_ids(old, new, are_copies_meant=True)
    if shared:
        raise _clash(old, new, shared)


async def _refuse_clashes(old: Backend, new: Backend) -> None:
    """What was created in the source before the seal, and clashes; then nothing was copied yet."""
    shared = await _shared_ids(old, new, are_copies_meant=False)
    if shared:
        await old.seal(None)
        await new.seal(None)
        raise _clash(old, new, shared)


def _clash(old: Backend, new: Backend, shared: list[str]) -> InstanceAlreadyExists:
    names = ", ".join(repr(each) for each in shared[:_NAMED])
    more = f" and {len(shared) - _NAMED} more" if len(shared) > _NAMED else ""
    return InstanceAlreadyExists(
        f"{new.url} has instances with ids that {old.url} has, too: {names}{more}. Nothing was copied, and the source goes on. "
        f"Remove these from one of the two, when they have ended; if they are left of an abandoned copy, take an empty store.",
        shared[0],
    )


async def _shared_ids(old: Backend, new: Backend, *, are_copies_meant: bool) -> list[str]:
    """Ids of instances in the target that the source has, too; with those that are copies of the source's, or without."""

    async def is_shared(there: Instance) -> bool:
        try:
            here = await old.read_instance(there.instance_id)
        except InstanceNotFound:
            return False
        return are_copies_meant or here.execution_id != there.execution_id

    shared: list[str] = []
    cursor: str | None = None
    while True:
        page = await new.list_instances(cursor=cursor, limit=_AT_ONCE)
        found = await asyncio.gather(*(is_shared(each) for each in page.items))
        shared += [each.instance_id for each, holds in zip(page.items, found, strict=True) if holds]
        cursor = page.cursor
        if cursor is None:
            return shared


# --- what is copied


async def _copy_settings(old: Backend, new: Backend) -> int:
    copied = 0
    for kind in SettingKind:
        there = await new.list_settings(kind)
        for name, value in (await old.list_settings(kind)).items():
            if name not in there:
                await new.put_setting(kind, name, value)
                copied += 1
    return copied


async def _copy_instances(old: Backend, new: Backend, on_progress: OnProgress) -> tuple[int, int]:
    """How many came over now, and how many were there."""
    total = sum((await old.count_instances()).values())
    done = {True: 0, False: 0}
    places = asyncio.Semaphore(_AT_ONCE)

    async def copy(exported: ExportedInstance) -> None:
        try:
            done[await new.import_instance(exported)] += 1
            on_progress(sum(done.values()), total)
        finally:
            places.release()

    try:
        async with asyncio.TaskGroup() as group:
            async for exported in old.export_instances():
                await places.acquire()
                group.create_task(copy(exported))
    except ExceptionGroup as problems:
        raise problems.exceptions[0] from problems
    return done[True], done[False]


async def _counted(
    old: Backend,
    new: Backend,
    *,
    instances: int = 0,
    there_before: int = 0,
    settings: int = 0,
    had_ended: bool = False,
) -> Copied:
    return Copied(
        source_url=old.url,
        target_url=new.url,
        source=await old.count_instances(),
        target=await new.count_instances(),
        instances=instances,
        there_before=there_before,
        settings=settings,
        had_ended=had_ended,
    )


def _check_counts(copied: Copied) -> None:
    total = sum(copied.source.values())
    is_all_there = all(copied.target.get(state, 0) >= count for state, count in copied.source.items())
    if copied.instances + copied.there_before != total or not is_all_there:
        raise StoreError(
            f"{copied.target_url} doesn't have all of {copied.source_url} ({copied.target} of {copied.source}): it stays closed. "
            f"Run the copy again; if that doesn't help, it is a fault in perdure: please report it."
        )
