"""Calls the service a few times, in this process."""

import asyncio
import tempfile
from pathlib import Path

import httpx

from examples.fastapi_orders.service import app, create_api
from perdure import Orchestrator


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'orders.db'}"
        client = Orchestrator(url, app)
        api = create_api(client, url)
        calls = httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://shop")
        async with api.router.lifespan_context(api), calls as shop:
            for order_id, cents in (("7", 1650), ("7", 1650), ("8", -5)):
                answer = await shop.post("/orders", json={"id": order_id, "item": "cup", "cents": cents})
                print("POST", order_id, answer.status_code)
            await client.wait("7")
            for order_id in ("7", "8"):
                answer = await shop.get(f"/orders/{order_id}")
                print("GET", order_id, answer.status_code, answer.json())


if __name__ == "__main__":
    asyncio.run(main())
