from perdure import Context, workflow


class Basket:
    items: list[str] = []

    def put(self, item: str) -> None:
        self.items.append(item)  # expect: PRD401


@workflow
async def shop(ctx: Context) -> int:
    basket = Basket()
    basket.put("tea")
    return len(basket.items)
