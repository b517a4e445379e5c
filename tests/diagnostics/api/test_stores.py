"""Every operation on every store: what it reads is as described, and what it does is done."""

from __future__ import annotations

import msgspec

from perdure.diagnostics.actions.permissions import everything
from perdure.diagnostics.api.application import OPERATIONS
from perdure.orchestrator import Orchestrator
from tests.diagnostics.actions.support import Bank, app_of
from tests.diagnostics.api.support import Api, check, fill, samples


async def test_everything_is_read_and_something_is_done(store_url: str) -> None:
    bank = Bank()
    async with Orchestrator(store_url, app_of(bank)) as perdure:
        api = Api(perdure, bank, everything("anna"))
        async with api.http:
            shop = await fill(perdure, api, bank)
            document = (await api.get("/openapi.json")).json()
            for operation in OPERATIONS:
                if operation.method == "GET":
                    described = document["paths"][operation.path]["get"]["responses"]["200"]["content"]
                    for query in samples(shop)[operation.name]:
                        response = await api.get(operation.path, **query)
                        assert response.status_code == 200, (operation.name, query, response.text)
                        if not operation.is_raw:
                            check(document, described["application/json"]["schema"], response.json())
                            msgspec.json.decode(response.content, type=operation.answer)

            bank.broken.clear()
            pushed = await api.post("/actions/resume", id="retrying")
            retried = await api.post("/actions/retry_activity", id="retrying")
            rewound = await api.post("/batches", action="rewind", filter={"states": ["failed"]})
            await api.services.batches.wait()

            assert (pushed.status_code, retried.status_code, rewound.status_code) == (200, 200, 202)
            assert await perdure.result("retrying", timeout=20) == "refund 9"
            assert await perdure.result("failed", timeout=20) == "charge 8"
