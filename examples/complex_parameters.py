"""Arguments and results of any ordinary type: they are stored as JSON and come back as what they were.

python -m examples.complex_parameters
"""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from perdure import App, ArgumentsError, Context, EncodeError, Orchestrator, activity, workflow


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Sender(Struct):  # a pydantic.BaseModel, where that is installed, or an attrs class does as well
    name: str
    email: str | None = None


class Place(NamedTuple):
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Parcel:
    id: uuid.UUID
    sender: Sender
    size: Size
    price: Decimal
    ready_at: datetime
    destination: Place | str | None
    contents: dict[str, set[int]]
    label: Path = Path("label.pdf")


@activity
async def weigh(parcel: Parcel, *, per_item: timedelta = timedelta(seconds=1)) -> tuple[Parcel, timedelta]:
    assert isinstance(parcel.size, Size)
    return parcel, per_item * sum(len(items) for items in parcel.contents.values())


@workflow
async def dispatch(ctx: Context, parcel: Parcel) -> tuple[Parcel, timedelta]:
    return await ctx.execute_activity(weigh, parcel, per_item=timedelta(minutes=2))


app = App(workflows=[dispatch], activities=[weigh])


async def main() -> None:
    parcel = Parcel(
        id=uuid.UUID(int=7),
        sender=Sender(name="Ada"),
        size=Size.LARGE,
        price=Decimal("12.50"),
        ready_at=datetime(2030, 1, 2, tzinfo=UTC),
        destination=Place(38.7, -9.1),
        contents={"cups": {1, 2}, "tea": {3}},
    )
    async with Orchestrator("memory://", app) as perdure:
        came_back, duration = await perdure.run(dispatch, parcel)
        assert came_back == parcel
        print(came_back.sender.name, came_back.size, came_back.destination, duration)

        wrong: list[Any] = ["a parcel", object()]
        for argument in wrong:
            try:
                await perdure.run(dispatch, argument)
            except (ArgumentsError, EncodeError) as problem:  # at the call, and nothing was recorded
                print(f"{type(problem).__name__}: {problem}")


if __name__ == "__main__":
    asyncio.run(main())
