"""A web service whose order rows and workflows are written in one transaction: there is never one without the other.

python -m examples.fastapi_orders                                calls the service a few times, on a database of its own
uvicorn --factory examples.fastapi_orders.service:create_api     serves it, on orders.db here, or what DATABASE_URL says

    curl -X POST localhost:8000/orders -H 'content-type: application/json' -d '{"id": "7", "item": "cup", "cents": 1650}'
    curl localhost:8000/orders/7
    curl localhost:8000/orders/7/parcel

Needs fastapi, sqlalchemy[asyncio] and a driver of SQLAlchemy's (aiosqlite, asyncpg, asyncmy); httpx to call itself.
"""
