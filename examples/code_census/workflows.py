"""What is to be done, in which order: `census` starts a `count_package` for each package, which counts file by file.

This is all that survives a crash, and nothing here says so: the variables are ordinary variables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from examples.code_census.activities import DoesNotParse, FileCounter, find_packages
from examples.code_census.model import Census, Counts, Package, PackageCensus, Progress
from perdure import Context, Signal, SubWorkflowFuture, workflow

T = TypeVar("T")

PACKAGES_AT_ONCE = 4
FILES_AT_ONCE = 8

paused = Signal("paused", bool)
"""True holds the census, False lets it go on."""


@workflow
async def census(ctx: Context, folder: Path) -> Census:
    """Count a source tree. Publishes `progress`."""
    packages = await ctx.execute_activity(find_packages, folder)
    progress = Progress(files=sum(len(package.files) for package in packages))
    running: dict[str, SubWorkflowFuture[PackageCensus]] = {}
    counted: list[PackageCensus] = []

    def publish() -> None:
        progress.running = {name: child.instance_id for name, child in running.items()}
        ctx.publish("progress", progress)

    async def count(package: Package) -> None:
        await ctx.wait_until(lambda: not progress.is_paused)
        child = running[package.name] = ctx.execute_sub_workflow(count_package, folder, package)
        publish()
        counted.append(await child)
        del running[package.name]
        progress.done += len(package.files)
        publish()

    async def obey() -> None:
        async for is_paused in ctx.signal_channel(paused):
            progress.is_paused = is_paused
            publish()
            told = [child.signal(paused, is_paused) for child in running.values()]
            await asyncio.gather(*told, return_exceptions=True)  # one that has just ended needs no telling

    publish()
    await work_through(packages, count, at_once=PACKAGES_AT_ONCE, beside=obey())
    return Census(str(folder), sorted(counted, key=lambda package: package.name))


@workflow
async def count_package(ctx: Context, folder: Path, package: Package) -> PackageCensus:
    """Count the files of one package. Publishes `done`, how many of them are."""
    total = Counts()
    unreadable: list[str] = []
    done = 0
    is_paused = False

    async def count(file: str) -> None:
        nonlocal total, done
        await ctx.wait_until(lambda: not is_paused)
        try:
            counts = await ctx.execute_activity(FileCounter.count_file, folder, file)
        except (DoesNotParse, OSError) as problem:
            unreadable.append(f"{file}: {problem}")
        else:
            total += counts
        done += 1
        ctx.publish("done", done)

    async def obey() -> None:
        nonlocal is_paused
        async for wanted in ctx.signal_channel(paused):
            is_paused = wanted

    await work_through(package.files, count, at_once=FILES_AT_ONCE, beside=obey())
    return PackageCensus(package.name, total, sorted(unreadable))


async def work_through(
    items: Iterable[T],
    work: Callable[[T], Coroutine[Any, Any, None]],
    *,
    at_once: int,
    beside: Coroutine[Any, Any, None],
) -> None:
    """Do the work on every item, so many at once, and run `beside` meanwhile. Plain asyncio: here it is durable."""
    left = iter(items)

    async def take_turns() -> None:
        for item in left:
            await work(item)

    companion = asyncio.create_task(beside)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(take_turns())
    finally:
        companion.cancel()
