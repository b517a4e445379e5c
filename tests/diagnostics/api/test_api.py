"""The API on real instances: each operation answers, as it is described, and the actions act."""

from __future__ import annotations

import pytest
from openapi_spec_validator import validate

from perdure.client.filters import Filters
from perdure.diagnostics.actions.conditions import InstanceConditions
from perdure.diagnostics.actions.table import ACTIONS, TargetKind
from perdure.diagnostics.api.application import OPERATIONS
from perdure.diagnostics.api.queries import CountsQuery
from perdure.model.inspection import InstanceFilter
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from tests.diagnostics.actions.support import NASTY, Bank, approved
from tests.diagnostics.api.support import Api, Shop, check

READS = [operation for operation in OPERATIONS if operation.method == "GET"]


class TestDescription:
    async def test_it_is_valid_openapi_and_has_every_operation(self, api: Api) -> None:
        response = await api.get("/openapi.json")

        document = response.json()
        validate(document)
        described = {found["operationId"] for path in document["paths"].values() for found in path.values()}
        assert described == {operation.name for operation in OPERATIONS}
        assert len(described) == len(OPERATIONS)
        assert {*ACTIONS} <= described

    async def test_each_action_and_problem_is_as_described(self, api: Api, shop: Shop) -> None:
        document = (await api.get("/openapi.json")).json()
        problem = document["components"]["responses"]["Problem"]["content"]["application/problem+json"]["schema"]
        result = document["paths"]["/actions/resume"]["post"]["responses"]["200"]["content"]["application/json"]

        done = await api.post("/actions/resume", id=shop["retrying"])
        failed = await api.post("/actions/resume", id="nobody")

        assert (done.status_code, failed.status_code) == (200, 404)
        check(document, result["schema"], done.json())
        check(document, problem, failed.json())
        assert failed.headers["content-type"] == "application/problem+json"

    def test_every_condition_of_a_filter_is_offered(self) -> None:
        conditions = {*InstanceFilter.__struct_fields__}

        assert conditions == {*CountsQuery.__struct_fields__} == {*InstanceConditions.__struct_fields__}
        assert conditions == {*Filters.__annotations__}


class TestReads:
    async def test_pages_lead_through_all_instances(self, api: Api, shop: Shop) -> None:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await api.get("/instances", limit=2, **cursor)).json()
            found += [each["instance_id"] for each in page["instances"]]
            if page["cursor"] is None:
                break
            cursor = {"cursor": page["cursor"]}

        assert {shop["completed"], shop["failed"], shop["retrying"], shop["parent"]} < {*found}
        assert len(found) == len({*found}) == 6, "and the child, and the schedule's keeper"

    @pytest.mark.parametrize(
        "path", [row.path for row in READS if row.path.startswith("/instance/") or row.path == "/instance"]
    )
    async def test_an_instance_that_isnt_there_is_not_found(self, api: Api, path: str) -> None:
        more = {"execution": "0" * 32, "position": 0, "name": "arguments"}
        names = {"event": ("execution", "position"), "payload": ("execution", "position", "name")}
        query = {name: more[name] for name in names.get(path.rpartition("/")[2], ())}

        response = await api.get(path, id="nobody", **query)

        assert (response.status_code, response.json()["title"]) == (404, "Not Found")
        assert "nobody" in response.json()["detail"]

    async def test_an_id_of_anything_comes_through(self, api: Api, shop: Shop) -> None:
        response = await api.get("/instance", id=NASTY)

        assert response.json()["facts"]["instance_id"] == NASTY

    async def test_a_payload_is_a_download_of_what_it_is(self, api: Api, shop: Shop) -> None:
        query = {"id": NASTY, "execution": shop["execution"], "position": 0, "name": "arguments"}

        response = await api.get("/instance/payload", **query)
        missing = await api.get("/instance/payload", **{**query, "name": "x"})

        assert (response.json(), response.headers["content-type"]) == (["7 <b>"], "application/json")
        assert response.headers["content-disposition"] == "attachment"
        assert missing.status_code == 404

    async def test_what_can_be_done_is_told(self, api: Api, read_only: Api, shop: Shop) -> None:
        allowed = (await api.get("/instance/actions", id="failed")).json()
        nothing = (await read_only.get("/instance/actions", id="failed")).json()

        assert [each["name"] for each in allowed["actions"]] == ["rewind", "remove"]
        assert (nothing["actions"], nothing["is_read_only"]) == ([], True)


class TestActions:
    async def test_a_signal_is_sent(self, api: Api, perdure: Orchestrator) -> None:
        handle = await perdure.start(approved.with_options(instance_id=NASTY))

        response = await api.post("/actions/signal", id=NASTY, signal="approval", value="otto")

        assert (response.status_code, response.json()["verdict"]) == (200, "done")
        assert await handle.result(timeout=20) == "approved by otto"

    async def test_a_failed_one_is_rewound(self, api: Api, shop: Shop, perdure: Orchestrator, bank: Bank) -> None:
        bank.broken.clear()

        response = await api.post("/actions/rewind", id="failed")

        assert response.status_code == 200
        assert await perdure.result("failed", timeout=20) == "charge 8"

    @pytest.mark.parametrize("name", ACTIONS)
    async def test_nothing_is_done_where_nothing_is_allowed(
        self, read_only: Api, perdure: Orchestrator, name: str
    ) -> None:
        await perdure.start(approved.with_options(instance_id="7"))

        response = await read_only.post(
            f"/actions/{name}", id="7", **({"signal": "approval"} if name == "signal" else {})
        )

        assert response.status_code == 403
        assert await perdure.state("7") is State.RUNNING
        assert await perdure.queues.limits() == {}

    async def test_a_batch_runs_and_tells_how_far_it_is(self, api: Api, perdure: Orchestrator) -> None:
        for _ in range(12):
            await perdure.start(approved)

        begun = await api.post("/batches", action="cancel", filter={"workflow": "approved"}, inputs={"reason": "late"})
        await api.services.batches.wait()
        done = (await api.get("/batch", id=begun.json()["batch_id"])).json()

        assert begun.status_code == 202
        assert (done["phase"], done["done"], done["failed"]) == ("ended", 12, 0)
        assert (await api.post("/batch/stop", id=begun.json()["batch_id"])).status_code == 200

    async def test_a_batch_without_leave_or_filter_doesnt_begin(
        self, api: Api, read_only: Api, perdure: Orchestrator
    ) -> None:
        handle = await perdure.start(approved)

        forbidden = await read_only.post("/batches", action="terminate", filter={"workflow": "approved"})
        unfiltered = await api.post("/batches", action="terminate", filter={})
        mistyped = await api.post("/batches", action="terminate", filter={"worfklow": "approved"})
        unsuited = await api.post("/batches", action="pause_queue", filter={"workflow": "approved"})

        codes = [each.status_code for each in (forbidden, unfiltered, mistyped, unsuited)]
        assert codes == [403, 422, 422, 422]
        assert await handle.state() is State.RUNNING
        assert (await api.get("/batches")).json() == {"batches": []}

    def test_all_kinds_of_targets_have_actions(self) -> None:
        assert {action.kind for action in ACTIONS.values()} == {*TargetKind} - {TargetKind.FILTER}
