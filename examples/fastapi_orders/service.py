"""The service, its table and its workflow."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel
from sqlalchemy import String
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from perdure import (
    App,
    Client,
    Context,
    InstanceAlreadyExists,
    InstanceNotFound,
    Orchestrator,
    State,
    activity,
    workflow,
)


class Base(DeclarativeBase):
    pass


class OrderRow(Base):
    __tablename__ = "orders"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    item: Mapped[str] = mapped_column(String(100))
    cents: Mapped[int]


class Order(BaseModel):
    id: str
    item: str
    cents: int


class Standing(BaseModel):
    item: str
    workflow: State


@activity
async def ship(item: str) -> str:
    return f"a parcel with a {item}"


@workflow
async def fulfil(ctx: Context, item: str) -> str:
    return await ctx.execute_activity(ship, item)


app = App(workflows=[fulfil], activities=[ship])


async def place(session: AsyncSession, perdure: Client, order: Order) -> None:
    """Both are there when the session's transaction is committed, and neither before."""
    session.add(OrderRow(id=order.id, item=order.item, cents=order.cents))
    await perdure.using(session).start(fulfil.with_options(instance_id=order.id), order.item)
    if order.cents < 0:
        raise HTTPException(422, "we don't pay you for taking it")  # this, too, takes both back


def create_api(perdure: Client | None = None, database_url: str | None = None) -> FastAPI:
    """The service: perdure's tables stand in the application's own database."""
    url = database_url or os.environ.get("DATABASE_URL", "sqlite:///orders.db")
    client = perdure or Orchestrator(url, app)
    engine = create_async_engine(with_driver(url))
    sessions = async_sessionmaker(engine)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with client:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            yield
        await engine.dispose()

    api = FastAPI(lifespan=lifespan)

    @api.post("/orders", status_code=201)
    async def place_order(order: Order) -> Order:
        try:
            # Committed at the end of the block, rolled back if it raises.
            async with sessions.begin() as session:
                await place(session, client, order)
        except InstanceAlreadyExists as problem:
            raise HTTPException(409, "this order was placed before") from problem
        return order

    @api.get("/orders/{order_id}")
    async def read_order(order_id: str) -> Standing:
        async with sessions() as session:
            row = await session.get(OrderRow, order_id)
        if row is None:
            raise HTTPException(404, "there is no such order")
        return Standing(item=row.item, workflow=await client.state(order_id))

    @api.get("/orders/{order_id}/parcel")
    async def wait_for_parcel(order_id: str, answer: Response, wait_seconds: float = 10) -> str | None:
        """What the workflow has given, once it has; nothing, and 202, if that takes longer."""
        try:
            return await client.result(order_id, fulfil, timeout=wait_seconds)
        except TimeoutError:
            answer.status_code = 202
            return None
        except InstanceNotFound as problem:
            raise HTTPException(404, "there is no such order") from problem

    return api


def with_driver(url: str) -> str:
    """The store's URL as SQLAlchemy takes it."""
    scheme, rest = url.split("://", 1)
    driver = {"sqlite": "aiosqlite", "postgresql": "asyncpg", "mysql": "asyncmy", "mariadb": "asyncmy"}
    return f"{scheme}+{driver[scheme]}://{rest}"
