"""A proxy before a server that counts round trips: how often a client has spoken after the server had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Trips:
    """Of all connections so far. Pushed messages, which nobody has asked for, are no trips."""

    def __init__(self) -> None:
        self.by_connection: list[int] = []

    @property
    def count(self) -> int:
        return sum(self.by_connection)


@asynccontextmanager
async def counted(url: str) -> AsyncIterator[tuple[str, Trips]]:
    """The URL of the same store by way of the proxy, on the running event loop."""
    parts, trips = urlsplit(url), Trips()
    assert parts.hostname is not None
    assert parts.port is not None
    target = (parts.hostname, parts.port)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = len(trips.by_connection)
        trips.by_connection.append(0)
        has_answered = True

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_client: bool) -> None:
            nonlocal has_answered
            while data := await source.read(1 << 20):
                if is_client and has_answered:
                    trips.by_connection[connection] += 1
                has_answered = not is_client
                sink.write(data)
                await sink.drain()
            sink.close()

        server_reader, server_writer = await asyncio.open_connection(*target)
        await asyncio.gather(
            pump(reader, server_writer, is_client=True),
            pump(server_reader, writer, is_client=False),
            return_exceptions=True,
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    try:
        yield parts._replace(netloc=f"{user}127.0.0.1:{port}").geturl(), trips
    finally:
        server.close()
