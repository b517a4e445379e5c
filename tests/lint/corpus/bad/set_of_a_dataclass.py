from dataclasses import dataclass, field

from perdure import Context, activity, workflow


@dataclass
class Order:
    tags: set[str] = field(default_factory=set)

    def labels(self) -> set[str]:
        return {f"#{tag}" for tag in self.tags}


@activity
async def label(text: str) -> None: ...


@workflow
async def mark(ctx: Context, order: Order) -> None:
    for tag in order.tags:  # expect: PRD201
        await ctx.execute_activity(label, tag)
    await ctx.execute_activity(label, " ".join(order.labels()))  # expect: PRD201
