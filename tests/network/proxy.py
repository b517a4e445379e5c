"""A proxy before a server, through which a store is reached: it cuts, delays, and swallows what it should pass on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Works on the event loop of the test: who blocks that stops it as well."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._port = 0
        self.is_down = False
        """New connections are refused."""
        self.delay_seconds = 0.0
        """Added to each piece, in both directions."""
        self.asks = asyncio.Event()
        """Set: what clients send gets through."""
        self.answers = asyncio.Event()
        """Set: what the server sends gets through."""
        self._markers: tuple[bytes, ...] = ()
        self._is_over = False
        self.made = 0
        """Connections, refused ones among them."""
        self.asked = 0
        """Pieces that clients have sent: what is short is asked in one."""
        self.mend()

    @property
    def url(self) -> str:
        """Of the store behind it."""
        credentials = self._parts.netloc.rpartition("@")[0]
        place = f"{credentials}@127.0.0.1:{self._port}" if credentials else f"127.0.0.1:{self._port}"
        return urlunsplit(self._parts._replace(netloc=place))

    def cut(self) -> None:
        """End all connections."""
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()

    def swallow(self, *, asks: bool = False, answers: bool = False) -> None:
        """From now on, without a word."""
        if asks:
            self.asks.clear()
        if answers:
            self.answers.clear()

    def lose_answer_to(self, marker: bytes) -> None:
        """What is asked with these bytes in it, or their digits, gets through, and nothing comes back from then on."""
        self._markers = (marker, marker.hex().encode())

    def mend(self) -> None:
        self.is_down = False
        self._markers = ()
        self.asks.set()
        self.answers.set()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        if self.is_down:
            writer.transport.abort()
            return
        host, port = self._parts.hostname, self._parts.port
        there_reader, there = await asyncio.open_connection(host, port)
        pair = (writer, there)
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there, self.asks))
                group.create_task(self._pump(there_reader, writer, self.answers))
        finally:
            self._pairs.discard(pair)
            for each in pair:
                each.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, lets: asyncio.Event) -> None:
        try:
            while piece := await source.read(1 << 16):
                self.asked += lets is self.asks
                if lets is self.asks and any(marker in piece for marker in self._markers):
                    self.answers.clear()
                await lets.wait()
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                target.write(piece)
                await target.drain()
        except OSError:
            pass
        target.close()

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        return server

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_over:  # it was accepted with the server's last breath, and nobody would end its task
            writer.transport.abort()
            return
        task = asyncio.ensure_future(self._meet(reader, writer))
        self._pumps.add(task)
        task.add_done_callback(self._pumps.discard)
        task.add_done_callback(lambda _: writer.transport.abort())  # also of one that is stopped before it begins

    async def stop(self) -> None:
        self._is_over = True
        for task in tuple(self._pumps):
            task.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)


@asynccontextmanager
async def proxy_before(url: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(url)
    server = await proxy.start()
    try:
        yield proxy
    finally:
        server.close()
        await proxy.stop()
        await server.wait_closed()
