"""The settings, the model, the views and the workflow."""

import os
from typing import Any, ClassVar

import django
from django.conf import settings
from django.db import connection, models, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from perdure import App, Context, SyncOrchestrator, activity, workflow

database = os.environ.get("DATABASE", "shop.db")
settings.configure(
    ALLOWED_HOSTS=["testserver"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
    ROOT_URLCONF=__name__,
    PERDURE_STORE=f"sqlite:///{database}",
)
django.setup()


class Order(models.Model):
    item = models.CharField(max_length=100)
    objects: ClassVar[Any] = models.Manager()

    class Meta:
        app_label = "shop"

    def __str__(self) -> str:
        return f"order of {self.item}"


@activity
def ship(item: str) -> str:
    return f"a parcel with a {item}"


@workflow
async def fulfil(ctx: Context, item: str) -> str:
    return await ctx.execute_activity(ship, item)


app = App(workflows=[fulfil], activities=[ship])
perdure = SyncOrchestrator(settings.PERDURE_STORE, app)  # a SyncClient, where workers are other processes


@transaction.atomic
def place_together(request: HttpRequest) -> HttpResponse:
    """On a store in Django's own database: the workflow is committed with the row, or not at all."""
    order = Order.objects.create(item=request.POST["item"])
    start = fulfil.with_options(instance_id=f"order-{order.pk}")
    perdure.using(connection.connection).start(start, order.item)
    if not order.item:
        raise ValueError("an order of nothing")  # neither the row nor the workflow stays
    return JsonResponse({"id": order.pk})


@transaction.atomic
def place(request: HttpRequest) -> HttpResponse:
    """On any store. Whoever finds an order without a workflow may start it again: the id makes it repeatable."""
    order = Order.objects.create(item=request.POST["item"])
    start = fulfil.with_options(instance_id=f"order-{order.pk}", if_exists="use")
    transaction.on_commit(lambda: perdure.start(start, order.item))
    return JsonResponse({"id": order.pk})


def look(request: HttpRequest, order_id: int) -> HttpResponse:
    try:
        parcel = perdure.result(f"order-{order_id}", fulfil, timeout=10)
    except TimeoutError:
        return JsonResponse({"parcel": None}, status=202)
    return JsonResponse({"parcel": parcel})


urlpatterns = [path("orders", place), path("orders/together", place_together), path("orders/<int:order_id>", look)]
