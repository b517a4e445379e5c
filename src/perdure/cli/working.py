"""`worker`: one worker in this process, or several under a watch."""

from __future__ import annotations

import asyncio
import logging
import sys
from functools import partial
from typing import Literal

import click
import msgspec

from perdure.backends.connect import connect
from perdure.cli.loading import check_store, load_app
from perdure.cli.shown import printable
from perdure.errors import StoreSealed
from perdure.worker.worker import Worker


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker process is to do: plain data, for it goes to processes that begin from nothing."""

    target: str
    store: str
    queues: tuple[str, ...] | None = None
    only: Literal["workflows", "activities"] | None = None
    versions: tuple[str, ...] | None = None
    max_workflow_tasks: int | None = None
    max_activities: int | None = None
    cache_size: int | None = None
    grace: float | None = None
    lease: float | None = None
    guard: Literal["off", "warn", "raise"] | None = None
    log_level: str = "info"


def run(work: Work, processes: int) -> None:
    """Work until a signal says to stop.

    The App and the store are tried first: what is wrong with them is said once, and not by each process again and again.
    """
    check_store(work.store)
    load_app(work.target)
    if processes == 1:
        work_here(work)
        return
    from perdure.cli.processes import Watch

    asyncio.run(_try_store(work.store))
    click.echo(f"{processes} worker processes run {printable(work.target)}; Ctrl-C stops them.", err=True)
    if not Watch(partial(_work_watched, work), processes).run():
        sys.exit(1)


def work_here(work: Work) -> None:
    """Be a worker, in this process, until a signal says to stop."""
    logging.basicConfig(
        level=work.log_level.upper(), format="%(asctime)s %(levelname)-7s %(process)d %(name)s: %(message)s"
    )
    asyncio.run(_work(work))


def _work_watched(work: Work) -> None:
    try:
        work_here(work)
    except StoreSealed as problem:  # and so it is for every other process
        from perdure.cli.processes import NO_USE

        click.echo(f"Error: {problem}", err=True)
        sys.exit(NO_USE)


async def _work(work: Work) -> None:
    worker = Worker(
        work.store,
        load_app(work.target),
        queues=work.queues,
        workflow_queues=() if work.only == "activities" else None,
        activity_queues=() if work.only == "workflows" else None,
        versions=work.versions,
        max_workflow_tasks=work.max_workflow_tasks,
        max_activities=work.max_activities,
        cache_size=work.cache_size,
        grace=work.grace,
        lease=work.lease,
        guard=work.guard,
    )
    click.echo(f"Worker {worker.name} runs {printable(work.target)}; Ctrl-C stops it.", err=True)
    await worker.run_forever()


async def _try_store(url: str) -> None:
    """Open the store once, which also migrates its schema before several processes want to."""
    backend = connect(url)
    await backend.open()
    await backend.close()
