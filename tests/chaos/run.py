"""One chaos run: instances are started and signalled, workers killed, the server too, and in the end all is audited."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

import msgspec

from perdure.client.client import Client
from perdure.client.handle import Handle
from perdure.clock import random_id
from perdure.errors import StoreUnavailable, WorkflowEnded
from perdure.model.instance import State
from tests.chaos.audit import Report, audit
from tests.chaos.fleet import Fleet, Server
from tests.chaos.program import approval, approval_of, expected_results, make_app, order, order_id
from tests.chaos.witness import ServerBack, ServerGoes, Signalled, Told, Witness

T = TypeVar("T")

_WAITING_CLIENTS = 10
"""Every how many-th instance has somebody who waits for its end."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run does. The server's moments are in seconds from the start; None is never."""

    instances: int = 2_000
    workers: int = 4
    seconds: float = 60.0
    kill_every: float = 1.0
    lease_seconds: float = 4.0
    freeze_every: float | None = None
    """A random worker stands still for longer than a lease. On SQLite it may do so with the file's lock in its hands."""
    server_restart_at: float | None = None
    server_kill_at: float | None = None
    server_away_seconds: float = 2.0
    spare_seconds: float = 5.0
    """What a wait may take beyond a lease. Another lease of it is for a death that nobody sees: of a worker that was given the
    thing, too, and was killed before it heard of that."""
    seed: int = 1
    patience_seconds: float = 90.0
    """How long the rest may take when nothing is killed any more."""

    @property
    def outages(self) -> int:
        return sum(at is not None for at in (self.server_restart_at, self.server_kill_at))

    @property
    def longest_wait_seconds(self) -> float:
        """After a death, while the server is there and somebody has his hands free."""
        return self.lease_seconds + self.spare_seconds

    @property
    def most_log_lines(self) -> int:
        """Each death is told by those who take over; an outage by each part of a worker, when it begins and ends."""
        return 20 + round(self.seconds / self.kill_every) + 40 * self.outages


async def run(url: str, folder: Path, plan: Plan, server: Server | None = None) -> Report:
    """`folder` gets the logs and the witness. Raises nothing but what the test itself does wrong."""
    witness = Witness(folder / "parent.jsonl")
    run_id = random_id().hex()[:8]  # the store may have seen other runs
    async with Client(url, make_app(None)) as client:
        fleet = Fleet(url, folder, witness, size=plan.workers, lease_seconds=plan.lease_seconds, seed=plan.seed)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_kill_workers(fleet, plan))
                if plan.freeze_every is not None:
                    group.create_task(_freeze_workers(fleet, plan.freeze_every, plan))
                if server is not None:
                    group.create_task(_trouble_server(server, witness, plan))
                for number in range(plan.instances):
                    group.create_task(_take_care_of(client, witness, order_id(run_id, number), number, plan))
            ended_in = await _wait_for_all(client, run_id, plan)
        finally:
            await fleet.stop()
            witness.close()
        report = await audit(
            client,
            folder,
            run_id,
            expected_results(run_id, plan.instances),
            longest_wait_seconds=plan.longest_wait_seconds,
            most_log_lines=plan.most_log_lines,
        )
    return Report(
        problems=(*fleet.problems, *report.problems), figures={**report.figures, "rest took": f"{ended_in:.1f} s"}
    )


async def _kill_workers(fleet: Fleet, plan: Plan) -> None:
    begun_at = time.monotonic()
    kills = 0
    while (kills + 1) * plan.kill_every <= plan.seconds:
        kills += 1
        await asyncio.sleep(max(0.0, begun_at + kills * plan.kill_every - time.monotonic()))
        await asyncio.to_thread(fleet.kill_one)


async def _freeze_workers(fleet: Fleet, every: float, plan: Plan) -> None:
    ends_at = time.monotonic() + plan.seconds
    while time.monotonic() + every < ends_at:
        await asyncio.sleep(every)
        await fleet.freeze_one(1.5 * plan.lease_seconds)


async def _trouble_server(server: Server, witness: Witness, plan: Plan) -> None:
    """Both in the order of time."""

    async def kill() -> None:
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(plan.server_away_seconds)
        await asyncio.to_thread(server.start)

    async def restart() -> None:
        await asyncio.to_thread(server.restart)

    asked = [(plan.server_restart_at, restart), (plan.server_kill_at, kill)]
    begun_at = time.monotonic()
    for at, step in sorted(((at, step) for at, step in asked if at is not None), key=itemgetter(0)):
        await asyncio.sleep(max(0.0, begun_at + at - time.monotonic()))
        witness.saw(ServerGoes())
        await step()
        witness.saw(ServerBack())


async def _take_care_of(client: Client, witness: Witness, instance_id: str, number: int, plan: Plan) -> None:
    """Start an order, half of them at once; approve it, before or after it waits for that; some wait for its end."""
    dice = random.Random(f"{plan.seed} {number}")
    if number % 2:
        await asyncio.sleep(dice.uniform(0, plan.seconds * 0.9))
    options = order.with_options(instance_id=instance_id, idempotency_key=instance_id)
    handle = await _persist(lambda: client.start(options, number))
    await asyncio.sleep(dice.uniform(0, 3.0))
    asked_at = time.monotonic()
    await _persist(lambda: handle.signal(approval, approval_of(number), idempotency_key="approval"))
    witness.saw(Signalled(instance_id=handle.instance_id, asked_at=asked_at))
    if number % _WAITING_CLIENTS == 0:
        await _hear_the_end(handle, witness, plan)


async def _hear_the_end(handle: Handle[int], witness: Witness, plan: Plan) -> None:
    try:
        result = await _persist(lambda: handle.result(timeout=plan.seconds + plan.patience_seconds))
    except (TimeoutError, WorkflowEnded):
        return  # the audit will say what has become of it
    witness.saw(Told(instance_id=handle.instance_id, result=result))


async def _persist(ask: Callable[[], Awaitable[T]]) -> T:
    """As a program does that can't go on without: every one of these may be repeated."""
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            await asyncio.sleep(0.5)


async def _wait_for_all(client: Client, run_id: str, plan: Plan) -> float:
    """How many seconds it took until nothing ran any more; gives up after a while."""
    begun_at = time.monotonic()
    while (waited := time.monotonic() - begun_at) < plan.patience_seconds:
        counts = await _persist(lambda: client.count(id_prefix=run_id))
        if not counts.get(State.RUNNING):
            break
        await asyncio.sleep(0.1)
    return waited
