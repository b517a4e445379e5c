from msgspec import Struct

from perdure import Context, workflow


class Basket(Struct):
    items: list[str] = []


class Shelf:
    items: list[str] = []

    def __init__(self) -> None:
        self.items = []

    def put(self, item: str) -> None:
        self.items.append(item)
        self.items[0] = item


@workflow
async def shop(ctx: Context) -> int:
    basket, shelf = Basket(), Shelf()
    basket.items.append("tea")
    shelf.put("cup")
    _ = ctx.schedule_timer(3600)
    return len(basket.items)
