"""An API of one's own, a store with instances of all kinds, and what each operation that reads is asked for there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from perdure.diagnostics.actions.batch import Batches
from perdure.diagnostics.actions.desk import Desk
from perdure.diagnostics.actions.permissions import Permissions
from perdure.diagnostics.api.application import create_api
from perdure.diagnostics.look import Look
from perdure.model.schedule import Schedule
from perdure.orchestrator import Orchestrator
from tests.diagnostics.actions.support import NASTY, Bank, app_of, checkout, giving_back, parent, until_waiting
from tests.worker.support import until_async


@dataclass
class Opened:
    look: Look
    desk: Desk
    batches: Batches


class Api:
    """An HTTP client of an API of its own."""

    def __init__(self, perdure: Orchestrator, bank: Bank, permissions: Permissions) -> None:
        desk = Desk(perdure, permissions)
        self.services = Opened(Look(perdure, app_of(bank)), desk, Batches(desk))

        async def opened() -> Opened:
            return self.services

        transport = httpx.ASGITransport(create_api(opened), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://here.test")

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(path, params=query)

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.http.post(path, json=body)


Shop = dict[str, str]


async def fill(perdure: Orchestrator, api: Api, bank: Bank) -> Shop:
    """Make instances of all kinds, whose ids these are."""
    bank.broken |= {"refund"}
    completed = await perdure.start(checkout.with_options(instance_id=NASTY, tags={"team": "red"}), "7 <b>")
    await completed.result(timeout=20)
    bank.broken |= {"charge"}
    failed = await perdure.start(checkout.with_options(instance_id="failed"), "8")
    await failed.wait(timeout=20)
    retrying = await perdure.start(giving_back.with_options(instance_id="retrying"), "9")
    await until_waiting(perdure, "retrying", attempt=2)
    family = await perdure.start(parent.with_options(instance_id="parent"))
    await until_async(lambda: _child_of(perdure, "parent"))
    await perdure.schedule(Schedule("hourly", every=timedelta(hours=1)), checkout, "7")
    batch = await api.post("/batches", action="suspend", filter={"id_prefix": "retry"})
    await api.services.batches.wait()
    return {
        "completed": NASTY,
        "failed": failed.instance_id,
        "retrying": retrying.instance_id,
        "parent": family.instance_id,
        "execution": (await perdure.info(NASTY)).execution_id,
        "batch": batch.json()["batch_id"],
    }


async def _child_of(perdure: Orchestrator, instance_id: str) -> bool:
    return sum((await perdure.count(parent_instance_id=instance_id)).values()) == 1


def samples(shop: Shop) -> dict[str, list[dict[str, Any]]]:
    """For each operation that reads, what it is asked for."""
    one = {"id": shop["completed"]}
    event = {**one, "execution": shop["execution"], "position": 0}
    each = [{"id": shop[name]} for name in ("completed", "failed", "retrying", "parent")]
    return {
        "list_instances": [{}, {"states": ["failed", "running"], "limit": 1}, {"tags": "team=red", "stuck": "false"}],
        "count_instances": [{}, {"workflow": "checkout", "created_from": "2020-01-01T00:00:00Z"}],
        "get_instance": [*each, {**one, "execution": shop["execution"]}],
        "get_history": [
            *each,
            {**one, "after": 0, "limit": 1},
            {**one, "kinds": "ActivityScheduled", "text": "charge"},
        ],
        "get_event": [event],
        "get_payload": [{**event, "name": "arguments"}],
        "get_timeline": [*each, {**one, "kinds": ["activity", "timer"], "first": 0, "limit": 1}],
        "get_tree": [*each, {**one, "limit": 1}],
        "get_where": [*each, {**one, "with_code": "false"}],
        "list_instance_actions": each,
        "list_queues": [{}],
        "get_throughput": [{}, {"seconds": 60, "queue": "default"}],
        "list_schedules": [{}],
        "get_schedule": [{"id": "hourly"}],
        "list_actions": [{}],
        "list_batches": [{}],
        "get_batch": [{"id": shop["batch"]}],
    }


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    Draft202012Validator({**schema, "components": document["components"]}).validate(value)
