"""Calls the views a few times, in this process."""

import os
import tempfile
from pathlib import Path
from typing import Any

from django.test import Client as Browser


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATABASE"] = str(Path(folder) / "shop.db")
        from django.db import connection

        from examples.django_orders.shop import Order, perdure

        with connection.schema_editor() as editor:
            editor.create_model(Order)
        browser: Any = Browser(raise_request_exception=False)
        with perdure:
            print("POST", browser.post("/orders", {"item": "cup"}).json())
            print("POST", browser.post("/orders/together", {"item": "spoon"}).json())
            print("POST", browser.post("/orders/together", {"item": ""}).status_code)
            for order_id in (1, 2):
                print("GET", browser.get(f"/orders/{order_id}").json())
            print("rows and workflows:", Order.objects.count(), sum(perdure.count().values()))
        connection.close()


if __name__ == "__main__":
    main()
