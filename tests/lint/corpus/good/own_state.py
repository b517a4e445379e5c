import functools
from contextvars import ContextVar
from dataclasses import dataclass, field

from perdure import Context, workflow

LIMITS = {"small": 1, "large": 10}
tenant: ContextVar[str] = ContextVar("tenant")


@dataclass
class State:
    seen: list[str] = field(default_factory=list)
    total: int = 0

    def see(self, name: str) -> None:
        self.seen.append(name)
        self.total += LIMITS.get(name, 0)


@functools.cache
def price(name: str) -> int:
    return LIMITS[name]


@workflow
async def counting(
    ctx: Context, names: list[str], extra: tuple[str, ...] = (), more: dict[str, int] | None = None
) -> int:
    state = State()
    LIMITS_HERE = dict(LIMITS)
    count = 0

    def add() -> None:
        nonlocal count
        count += 1

    for name in names:
        state.see(name)
        LIMITS_HERE[name] = price("small")
        add()
    tenant.set("acme")
    return state.total + count
