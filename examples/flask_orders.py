"""A Flask service: without an event loop of its own, it talks to perdure through a SyncClient.

python -m examples.flask_orders                                         calls the service a few times, on a store of its own
flask --app examples.flask_orders:create_api run                        serves it, on orders.db here, or what STORE_URL says
perdure worker examples.flask_orders:app --store sqlite:///orders.db    runs its workflows

Needs flask.
"""

import os
import tempfile
from contextvars import ContextVar
from pathlib import Path

from flask import Flask, Response, jsonify, request

from perdure import (
    App,
    Context,
    ContextVarPropagator,
    InstanceNotFound,
    SyncClient,
    SyncOrchestrator,
    activity,
    workflow,
)

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


@activity
def ship(item: str) -> str:
    return f"a {item} for {tenant.get()}"


@workflow
async def fulfil(ctx: Context, item: str) -> str:
    return await ctx.execute_activity(ship, item)


app = App(workflows=[fulfil], activities=[ship], propagators=[ContextVarPropagator(tenant)])
orders = SyncClient(os.environ.get("STORE_URL", "sqlite:///orders.db"), app)  # opened by its first call


def create_api(perdure: SyncClient = orders) -> Flask:
    api = Flask("orders")

    @api.before_request
    def know_the_tenant() -> None:
        tenant.set(request.headers.get("x-tenant", "nobody"))

    @api.put("/orders/<order_id>")
    def place(order_id: str) -> Response:
        """Putting it again, as a browser or proxy may do, changes nothing."""
        start = fulfil.with_options(instance_id=order_id, if_exists="use")
        return jsonify(id=perdure.start(start, request.json["item"]).instance_id)

    @api.get("/orders/<order_id>")
    def look(order_id: str) -> Response:
        return jsonify(id=order_id, state=perdure.state(order_id))

    @api.get("/orders/<order_id>/parcel")
    def wait(order_id: str) -> tuple[Response, int]:
        """The parcel, if it is there soon; else one asks again."""
        try:
            return jsonify(perdure.result(order_id, fulfil, timeout=10)), 200
        except TimeoutError:
            return jsonify("on its way"), 202

    @api.errorhandler(InstanceNotFound)
    def nothing_there(problem: InstanceNotFound) -> tuple[Response, int]:
        return jsonify(f"there is no order {problem.instance_id}"), 404

    return api


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        SyncOrchestrator(f"sqlite:///{Path(folder) / 'a.db'}", app) as perdure,
    ):
        browser = create_api(perdure).test_client()
        for _ in range(2):
            print("PUT", browser.put("/orders/7", json={"item": "cup"}, headers={"x-tenant": "acme"}).json)
        for path in ("/orders/7/parcel", "/orders/7", "/orders/8"):
            print("GET", browser.get(path).json)


if __name__ == "__main__":
    main()
